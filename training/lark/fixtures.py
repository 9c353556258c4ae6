"""Writes what the tests of src/families/lark compare with: a tiny voice of seeded random weights and what this
reference makes of it, and what it makes of the shipped voice.

    python fixtures.py assets/models/lark.en tests/fixtures/lark --seed 1 --width 24
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

import letters as spelling
import vocoder
from export import read, write
from frontend import sounds
from letters import Letters, guess
from model import Config, Lark, speak
from symbols import ids

WORDS = {"hello": "həlˈO", "there": "ðˈɛɹ", "the": "ðə", "apple": "ˈæpᵊl", "lark": "lˈɑɹk", "to": "tə"}
SENTENCE = "Hello there, the apple!"
SHIPPED = "The river is wide here, and nobody knows how deep it may be."
QUIET = -30.0
"""A log magnitude that nobody hears."""


def tiny(seed: int, width: int) -> tuple[Lark, Letters]:
    """Networks of random weights that are not small anywhere, so that every one of them shows."""
    torch.manual_seed(seed)
    lark = Lark(Config(text=width, text_hidden=2 * width, text_dilations=(1, 2), prosody=width, prosody_hidden=width,
                       prosody_dilations=(1, 4), decoder=width, decoder_hidden=2 * width, decoder_dilations=(1, 1)))
    letters = Letters(spelling.Config(width=width, hidden=width, dilations=(1, 2)))
    for value in [*lark.parameters(), *letters.parameters()]:
        value.data += 0.1 * torch.randn_like(value)
    lark.encoder.duration.bias.data += 1.3
    lark.mean.copy_(torch.linspace(-2, -1, len(lark.mean))), lark.deviation.fill_(0.5)
    return lark.eval(), letters.eval()


def expected(lark: Lark, letters: Letters, said: str, words: list[str]) -> dict[str, np.ndarray]:
    """What the networks make of `said` and `words`, and the sound of its harmonics alone."""
    row = ids(said)
    harmonic, noise, f0 = speak(lark, row)
    halves = (torch.exp(lark.encoder(torch.tensor([row]), torch.ones(1, len(row), 1))[1][0]) - 1).round().clamp(min=1)
    silent = np.zeros((len(f0), vocoder.BINS), np.complex64)
    samples = vocoder.synthesise(harmonic, np.full_like(noise, QUIET), f0, silent)
    made = {"ids": np.array(row, np.uint8), "lengths": halves.detach().numpy().astype(np.int32), "f0": f0,
            "bands": np.concatenate([harmonic, noise], 1), "samples": samples}
    made |= {f"word.{word}": np.array(ids(guess(letters, word))[1:-1], np.uint8) for word in words}
    return {name: np.ascontiguousarray(value.astype(np.float32) if value.dtype.kind == "f" else value)
            for name, value in made.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--width", type=int, default=24)
    options = parser.parse_args()
    lark, letters = tiny(options.seed, options.width)
    write(options.folder / "tiny", lark, letters, WORDS, torch.float32)
    said = "həlˈO ðˈɛɹ, ði ˈæpᵊl!"
    made = expected(lark, letters, said, ["larks", "it's"])
    save_file(made, options.folder / "tiny.safetensors", {"text": SENTENCE, "sounds": said})
    if (options.model / "model.safetensors").exists():
        made = expected(*read(options.model), sounds(SHIPPED), ["sconce", "brillig", "zyzzyva"])
        save_file({name: value for name, value in made.items() if name != "samples"}, options.folder / "shipped.safetensors",
                  {"text": SHIPPED, "sounds": sounds(SHIPPED)})


if __name__ == "__main__":
    main()
