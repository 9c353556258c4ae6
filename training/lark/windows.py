"""Batches of windows out of the shards, all of one shape."""

from pathlib import Path

import numpy as np
import torch

from model import FRAMES, PITCH_CENTRE, PITCH_SCALE, place
from vocoder import VOICED

SYMBOLS = 112
"""Symbols that a sentence is padded to; longer ones are left out."""
STEPS = 80
"""Steps in a window: two seconds."""
MARGIN = 6
"""Steps at a cut that are not judged, since their neighbours are missing."""
UNHEARD = np.float16(1.5)
"""Harmonics this far below the noise, as a log magnitude, are a hundredth of the power: how far is not learnt."""
KEPT = 100
"""Sentences of the first shard that are only judged, never learnt from."""


class Sentences:
    """All shards of a folder in memory, as small as they are stored."""

    def __init__(self, folder: Path):
        self.paths, self.items = [], []
        self.grow(folder)

    def grow(self, folder: Path) -> None:
        """Take in the shards that have appeared since."""
        for path in sorted(folder.glob("[0-9]*.npz")):
            if path not in self.paths:
                self.paths.append(path)
                self.items += load(path)
        self.weight = np.array([len(item["f0"]) for item in self.items], np.float64)
        self.weight[:KEPT] = 0
        self.weight /= self.weight.sum()

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of the log magnitudes [2 bands]: harmonics where there is voice, noise everywhere."""
        some = self.items[KEPT: KEPT + 300]
        voiced = np.concatenate([item["f0"] for item in some]) > VOICED
        harmonic = np.concatenate([item["harmonic"] for item in some]).astype(np.float32)[voiced]
        noise = np.concatenate([item["noise"] for item in some]).astype(np.float32)
        return np.concatenate([harmonic.mean(0), noise.mean(0)]), np.concatenate([harmonic.std(0), noise.std(0)])

    def batch(self, rng: np.random.Generator, size: int) -> dict[str, torch.Tensor]:
        """`size` windows of sentences, the longer the likelier."""
        return stack([window(self.items[row], rng) for row in rng.choice(len(self.items), size, p=self.weight)])

    def kept(self, size: int) -> dict[str, torch.Tensor]:
        """The same windows every time, of sentences that are never learnt from."""
        rng = np.random.default_rng(0)
        return stack([window(self.items[row % KEPT], rng) for row in range(size)])


def load(path: Path) -> list[dict]:
    """The sentences of a shard."""
    arrays = dict(np.load(path))
    symbols, frames = np.cumsum(arrays.pop("symbols"))[:-1], np.cumsum(arrays.pop("frames"))[:-1]
    cut = {name: np.split(array, symbols if name in ("ids", "durations") else frames) for name, array in arrays.items()}
    items = [dict(zip(cut, values)) for values in zip(*cut.values())]
    for item in items:
        item["harmonic"] = np.maximum(item["harmonic"], item["noise"] - UNHEARD)
        symbol, places = place(torch.from_numpy(item["durations"].astype(np.int64)))
        item["symbol"], item["places"] = symbol.numpy().astype(np.uint8), places.numpy().astype(np.float16)
    return [item for item in items if FRAMES * len(item["symbol"]) == len(item["f0"]) and len(item["ids"]) <= SYMBOLS]


def window(item: dict, rng: np.random.Generator) -> dict:
    """A random cut of a sentence, padded, with what to judge."""
    count, symbols = len(item["symbol"]), len(item["ids"])
    start = int(rng.integers(0, max(1, count - STEPS + 1)))
    stop = min(count, start + STEPS)
    judged = np.zeros((STEPS, 1), np.float32)
    judged[MARGIN if start else 0: stop - start - (MARGIN if stop < count else 0)] = 1
    frames = {name: item[name][FRAMES * start: FRAMES * stop].astype(np.float32) for name in ("f0", "harmonic", "noise")}
    f0 = frames["f0"].reshape(-1, FRAMES)
    voiced = f0 > VOICED
    pitch = np.where(voiced, (np.log(np.maximum(f0, 1)) - PITCH_CENTRE) / PITCH_SCALE, 0)
    bands = np.concatenate([frames["harmonic"], frames["noise"]], 1).reshape(stop - start, FRAMES, -1)

    def padded(values, length=STEPS, kind=np.float32):
        return np.concatenate([values, np.zeros((length - len(values), *values.shape[1:]))]).astype(kind)

    return {
        "ids": padded(item["ids"], SYMBOLS, np.int64), "durations": padded(item["durations"], SYMBOLS),
        "there": padded(np.ones((symbols, 1)), SYMBOLS), "symbol": padded(item["symbol"][start:stop], kind=np.int64),
        "places": padded(item["places"][start:stop]), "inside": padded(np.ones((stop - start, 1))),
        "pitch": padded(pitch), "voiced": padded(voiced), "judged": judged, "bands": padded(bands),
    }


def stack(rows: list[dict]) -> dict[str, torch.Tensor]:
    """The windows as one batch."""
    return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}
