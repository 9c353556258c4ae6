"""Makes what Lark learns from: the teacher's voice as bands, pitch and durations, in shards.

    python corpus.py WORK --wordnet FOLDER --shards 20 --first 0 --stride 1

A shard that exists is not made again; `--first` and `--stride` share the work among processes.
"""

import argparse
from pathlib import Path

import numpy as np

from sentences import corpus
from symbols import ids
from teacher import Teacher
from vocoder import analyse

SIZE = 400
"""Sentences in a shard."""


def learn(teacher: Teacher, said: str, seed: int) -> dict:
    """What one sentence teaches: ids, frames of each, pitch and log magnitudes, in small types."""
    samples, f0, frames = teacher.speak(said, seed)
    harmonic, rough = analyse(samples, f0)
    return {"ids": np.array(ids(said), np.uint8), "durations": frames.astype(np.uint16), "f0": f0.astype(np.float16),
            "harmonic": harmonic.astype(np.float16), "noise": rough.astype(np.float16)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--shards", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = options.work / "shards"
    folder.mkdir(parents=True, exist_ok=True)
    teacher, sentences = Teacher(), corpus(options.wordnet, options.seed)
    for shard in range(options.shards):
        lines = [next(sentences) for _ in range(SIZE)]
        path = folder / f"{shard:03}.npz"
        if shard % options.stride != options.first or path.exists():
            continue
        made = [learn(teacher, said, shard * SIZE + row) for row, (_, said) in enumerate(lines)]
        arrays = {name: np.concatenate([item[name] for item in made]) for name in made[0]}
        arrays["symbols"] = np.array([len(item["ids"]) for item in made])
        arrays["frames"] = np.array([len(item["f0"]) for item in made])
        part = folder / f"part{options.first}.tmp.npz"
        np.savez(part, **arrays)
        part.rename(path)
        (folder / f"{shard:03}.txt").write_text("".join(f"{text}\t{said}\n" for text, said in lines))
        print(f"shard {shard}: {arrays['frames'].sum() / 80 / 60:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()
