"""Letters to sounds for words that the dictionary lacks: a small ConvNeXt with CTC, trained on the dictionary.

    python letters.py WORK --steps 800

Each letter has two slots; a slot says a sound or nothing, and what is said twice in a row counts once. Goes on from
WORK/letters.pt where there is one. One word in forty is held out by the hash of its letters.
"""

import argparse
import dataclasses
import time
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from frontend import dictionary
from model import run, stack
from symbols import INDEX, SYMBOLS

LETTERS = ["_", *"abcdefghijklmnopqrstuvwxyz'"]
LONGEST = 12
"""Letters of the longest word that is learnt from."""
NOTHING = 0
"""The symbol for a slot that says nothing."""


@dataclasses.dataclass
class Config:
    letters: int = len(LETTERS)
    slots: int = 2
    symbols: int = len(SYMBOLS)
    width: int = 128
    hidden: int = 320
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 1, 2)


class Letters(nn.Module):
    """Letters [batch, n] to scores of symbols [batch, n * slots, symbols]."""

    def __init__(self, config: Config = Config()):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.letters, config.slots * config.width)
        self.blocks = stack(config.width, config.hidden, config.kernel, config.dilations)
        self.norm = nn.LayerNorm(config.width)
        self.leave = nn.Linear(config.width, config.symbols)

    def forward(self, ids, inside):
        slots = self.embedding(ids).reshape(len(ids), -1, self.config.width)
        inside = inside.repeat_interleave(self.config.slots, 1)
        return self.leave(self.norm(run(self.blocks, slots, inside)))


def collapse(best: list[int]) -> str:
    """The sounds of the likeliest symbol of each slot."""
    heard = [symbol for place, symbol in enumerate(best) if not place or symbol != best[place - 1]]
    return "".join(SYMBOLS[symbol] for symbol in heard if symbol != NOTHING)


@torch.no_grad()
def guess(model: Letters, word: str) -> str:
    """How `word` (lower case) may be said."""
    ids = torch.tensor([[LETTERS.index(letter) for letter in word]])
    return collapse(model(ids, torch.ones(1, len(word), 1))[0].argmax(-1).tolist())


def is_held_out(word: str) -> bool:
    return zlib.crc32(word.encode()) % 40 == 0


def words() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(word, sounds) to learn from and to judge by."""
    pairs = [(word, said) for word, said in sorted(dictionary().items())
             if len(word) <= LONGEST and len(said) <= 2 * len(word)]
    return [p for p in pairs if not is_held_out(p[0])], [p for p in pairs if is_held_out(p[0])]


def batch(pairs: list[tuple[str, str]]):
    """Padded letters, what is inside, all sounds one after another, and both lengths."""
    ids, inside = torch.zeros(len(pairs), LONGEST, dtype=torch.long), torch.zeros(len(pairs), LONGEST, 1)
    for row, (word, _) in enumerate(pairs):
        ids[row, : len(word)] = torch.tensor([LETTERS.index(letter) for letter in word])
        inside[row, : len(word)] = 1
    sounds = torch.tensor([INDEX[sound] for _, said in pairs for sound in said])
    return ids, inside, sounds, torch.tensor([2 * len(p[0]) for p in pairs]), torch.tensor([len(p[1]) for p in pairs])


def loss(model, pairs) -> torch.Tensor:
    ids, inside, sounds, slots, lengths = batch(pairs)
    with torch.autocast("cpu", torch.bfloat16):
        scores = model(ids, inside)
    return functional.ctc_loss(scores.float().log_softmax(-1).transpose(0, 1), sounds, slots, lengths,
                               blank=NOTHING, zero_infinity=True)


def distance(one: str, other: str) -> int:
    """Edits between two strings."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def judge(model: Letters, pairs: list[tuple[str, str]]) -> str:
    """Whole words right and sounds wrong, with and without stress."""
    model.eval()
    said = [(guess(model, word), truth) for word, truth in pairs]
    model.train()
    plain = [(a.replace("ˈ", "").replace("ˌ", ""), b.replace("ˈ", "").replace("ˌ", "")) for a, b in said]
    return ", ".join(f"{name}: {sum(a == b for a, b in found) / len(found):.1%} of words right, "
                     f"{sum(distance(a, b) for a, b in found) / sum(len(b) for _, b in found):.1%} of sounds wrong"
                     for name, found in [("all", said), ("without stress", plain)])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--batch", type=int, default=192)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(2)
    model, path, step, seconds = Letters(), options.work / "letters.pt", 0, 0.0
    matrices = [value for name, value in model.named_parameters() if name.endswith(("up.weight", "down.weight"))]
    rest = [value for value in model.parameters() if all(value is not matrix for matrix in matrices)]
    optimisers = [torch.optim.Muon(matrices, lr=options.rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
                  torch.optim.AdamW(rest, lr=options.rate, betas=(0.9, 0.98), weight_decay=0.0)]
    if path.exists():
        state = torch.load(path)
        model.load_state_dict(state["model"])
        for optimiser, saved in zip(optimisers, state["optimisers"]):
            optimiser.load_state_dict(saved)
        step, seconds = state["step"], state["seconds"]
    learnt, kept = words()
    compiled, since, sums = torch.compile(model), time.time(), []
    while step < options.steps:
        rows = np.random.default_rng([options.seed, step]).choice(len(learnt), options.batch, replace=False)
        value = loss(compiled, [learnt[row] for row in rows])
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = options.rate * min(1, (step + 1) / 50, max(0.01, (options.steps - step) / options.steps / 0.6))
            optimiser.step()
            optimiser.zero_grad()
        step += 1
        sums.append(value.item())
        if step % 100 == 0 or step == options.steps:
            seconds, since = seconds + time.time() - since, time.time()
            print(f"{step} {seconds:.0f}s loss {np.mean(sums):.4f} {judge(model, kept[:400])}", flush=True)
            sums = []
            torch.save({"model": model.state_dict(), "optimisers": [o.state_dict() for o in optimisers],
                        "step": step, "seconds": seconds}, path)
    print(f"held out, {len(kept)} words: {judge(model, kept)}")


if __name__ == "__main__":
    main()
