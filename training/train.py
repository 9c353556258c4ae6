"""Teach the model. Interrupt it at any time; the same command goes on from the last checkpoint.

The rate warms up, stays, and falls to nothing over the last part (`--decay`), so `--steps` may
still be changed while it stays. An average of the weights over time is what gets exported.
"""

import argparse
import copy
import os
import time
from pathlib import Path

import torch
from torch.optim import AdamW, Muon
from torch.utils.data import DataLoader, Subset

from model import Learner
from sounds import Sounds
from tokens import Tokens, build
from windows import Collate, Corpus, Windows

SEED = 7
WARM_STEPS = 300
AVERAGE = 0.998
CTC_WEIGHT, LOOK_WEIGHT = 0.6, 0.3
SAVE_EVERY = 250


def rate(step: int, steps: int, decay: float) -> float:
    """The learning rate at `step` relative to its peak."""
    left = (steps - step) / (steps * decay)
    return min(1.0, step / WARM_STEPS, max(left, 0.0))


class Optimisers:
    """Muon for the matrices inside the layers, AdamW for everything else, stepping as one."""

    def __init__(self, learner: Learner, peak: float) -> None:
        learned = {n: p for n, p in learner.named_parameters() if p.requires_grad}
        inner = [p for n, p in learned.items() if ".layers." in n and p.dim() == 2]
        outer = [p for n, p in learned.items() if not (".layers." in n and p.dim() == 2)]
        self._all = [Muon(inner, lr=peak, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
                     AdamW(outer, lr=peak, betas=(0.9, 0.98), weight_decay=0.0)]

    def step(self, lr: float) -> None:
        """Apply the gradients at rate `lr` and forget them."""
        for one in self._all:
            for group in one.param_groups:
                group["lr"] = lr
            one.step()
            one.zero_grad()

    def state_dict(self) -> list[dict]:
        return [one.state_dict() for one in self._all]

    def load_state_dict(self, states: list[dict]) -> None:
        for one, state in zip(self._all, states, strict=True):
            one.load_state_dict(state)


def update_average(average: Learner, learner: Learner, step: int) -> None:
    keep = min(AVERAGE, (1 + step) / (10 + step))
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), learner.parameters(), strict=True):
            slow.lerp_(fast, 1 - keep)


class Run:
    """A training run in a folder: learner, average, optimiser and the step they stand at."""

    def __init__(self, folder: Path, tokens: Tokens, sounds: Sounds, peak: float, device: str) -> None:
        torch.manual_seed(SEED)
        self.path = folder / "checkpoint.pt"
        self.learner, self.step, self.peak, self.device = Learner(tokens, sounds.size).to(device), 0, peak, device
        self.average = copy.deepcopy(self.learner)
        self.optimiser = Optimisers(self.learner, peak)
        if self.path.exists():
            self._load(torch.load(self.path, map_location=device, weights_only=True))

    def _load(self, state: dict) -> None:
        self.step = state["step"]
        for name in ("learner", "average", "optimiser"):
            getattr(self, name).load_state_dict(state[name])

    def save(self) -> None:
        """Replace the checkpoint at once or not at all."""
        state = {"step": self.step} | {n: getattr(self, n).state_dict() for n in ("learner", "average", "optimiser")}
        torch.save(state, self.path.with_suffix(".new"))
        os.replace(self.path.with_suffix(".new"), self.path)

    def learn(self, batch: dict[str, torch.Tensor], relative_rate: float) -> tuple[float, float, float]:
        """One step; the losses before it: of text, sounds and looks."""
        text, ctc, look = self.learner({name: value.to(self.device) for name, value in batch.items()})
        (text + CTC_WEIGHT * ctc + LOOK_WEIGHT * look).backward()
        torch.nn.utils.clip_grad_norm_(self.learner.parameters(), 1.0)
        self.optimiser.step(self.peak * relative_rate)
        self.step += 1
        update_average(self.average, self.learner, self.step)
        return text.item(), ctc.item(), look.item()


def batches(folder: Path, tokens: Tokens, sounds: Sounds, first: int, count: int, size: int) -> DataLoader:
    """Batches number `first` to `count`, made by one other process."""
    windows = Windows(Corpus(folder / "corpus"), tokens, sounds, SEED, count * size)
    rest = Subset(windows, range(first * size, count * size))
    return DataLoader(rest, batch_size=size, collate_fn=Collate(tokens), num_workers=1, prefetch_factor=8)


def train(settings: argparse.Namespace) -> None:
    """Learn until `steps`, saving now and then."""
    folder, size = settings.folder, settings.batch
    tokenizer_path = folder / "tokenizer.json"
    if not tokenizer_path.exists():
        build().save(str(tokenizer_path))
    tokens = Tokens.load(tokenizer_path)
    sounds = Sounds.of_vocabulary()
    run = Run(folder, tokens, sounds, settings.peak, settings.device)
    seen, since = torch.zeros(3), time.monotonic()
    for batch in batches(folder, tokens, sounds, run.step, settings.steps, size):
        seen += torch.tensor(run.learn(batch, rate(run.step, settings.steps, settings.decay)))
        if run.step % 50 == 0:
            text, ctc, look = (seen / 50).tolist()
            speed = 50 * size / (time.monotonic() - since)
            print(f"step {run.step} text {text:.3f} ctc {ctc:.3f} look {look:.3f} windows/s {speed:.1f}", flush=True)
            seen, since = torch.zeros(3), time.monotonic()
        if run.step % SAVE_EVERY == 0:
            run.save()
    run.save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="holds corpus/, gets tokenizer.json and checkpoint.pt")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--peak", type=float, default=2e-3)
    parser.add_argument("--decay", type=float, default=0.42)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    train(arguments)


if __name__ == "__main__":
    main()
