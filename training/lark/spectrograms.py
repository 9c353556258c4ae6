"""Pictures of five held-out sentences, the teacher above and Lark below.

    python spectrograms.py WORK assets/models/lark.en pictures
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

from evaluate import held_out, speaker  # noqa: E402
from vocoder import HOP, RATE, stft  # noqa: E402

COUNT = 5


def show(axis, samples: np.ndarray, name: str) -> None:
    """A spectrogram in decibels, up to 8 kHz."""
    power = 20 * np.log10(np.abs(stft(samples)).T[:400] + 1e-3)
    extent = (0, power.shape[1] * HOP / RATE, 0, 8)
    axis.imshow(power, origin="lower", aspect="auto", extent=extent, vmin=-30, vmax=35, cmap="gray_r")
    axis.set_ylabel(f"{name}, kHz")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    options.folder, options.teacher = None, False
    lark = speaker(options)
    options.teacher = True
    teacher = speaker(options)
    for number, (text, said) in enumerate(held_out(options.wordnet, COUNT)):
        figure, axes = plt.subplots(2, 1, figsize=(7, 4), layout="constrained")
        show(axes[0], teacher(number, text, said), "teacher")
        show(axes[1], lark(number, text, said), "lark")
        axes[0].set_title(text, fontsize=9)
        axes[1].set_xlabel("seconds")
        figure.savefig(options.pictures / f"{number}.png", dpi=64)
        plt.close(figure)


if __name__ == "__main__":
    main()
