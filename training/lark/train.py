"""Trains Lark on the shards in WORK/shards; goes on from WORK/checkpoint.pt where there is one.

    python train.py WORK --steps 4000
    python train.py WORK --steps 2000 --rate 1e-3 --start assets/models/lark.en

Muon moves the matrices inside the layers, AdamW the rest. The rate rises over the first steps and falls
linearly over the last share (`--decay`). The average of the weights is what is exported.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from model import Lark
from windows import Sentences

PRINT, SAVE, WARM = 50, 100, 100


def losses(model, batch, statistics: Lark) -> dict[str, torch.Tensor]:
    """Each loss by name, unweighted."""
    inputs = ["ids", "there", "symbol", "places", "inside", "pitch", "voiced"]
    with torch.autocast("cpu", torch.bfloat16):
        durations, pitch, voice, bands = model(*(batch[name] for name in inputs))
    judged, there = batch["judged"], batch["there"].squeeze(-1)
    voiced = judged * batch["voiced"]
    size = bands.shape[-1] // 2
    error = (bands.float() * statistics.deviation + statistics.mean - batch["bands"]).abs()
    return {
        "harmonic": (error[..., :size].mean(-1) * voiced).sum() / voiced.sum(),
        "noise": (error[..., size:].mean(-1) * judged).sum() / judged.sum() / 2,
        "pitch": ((pitch.float() - batch["pitch"]).abs() * voiced).sum() / voiced.sum(),
        "voice": (functional.binary_cross_entropy_with_logits(voice.float(), batch["voiced"], reduction="none")
                  * judged).sum() / judged.sum() / 2,
        "duration": ((durations.float() - torch.log1p(batch["durations"])).abs() * there).sum() / there.sum(),
    }


WEIGHTS = {"harmonic": 1.0, "noise": 1.0, "pitch": 0.5, "voice": 0.5, "duration": 2.0}


def optimisers(model: Lark, rate: float) -> list[torch.optim.Optimizer]:
    matrices = [value for name, value in model.named_parameters() if name.endswith(("up.weight", "down.weight"))]
    known = {id(value) for value in matrices}
    rest = [value for value in model.parameters() if id(value) not in known]
    return [torch.optim.Muon(matrices, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)]


def share(step: int, steps: int, decay: float) -> float:
    """The rate at `step` as a share of the highest."""
    return min(1, (step + 1) / WARM, max(0.01, (steps - step) / max(1, steps * decay)))


class Run:
    """A training with all that must survive an interruption."""

    def __init__(self, options):
        torch.manual_seed(options.seed)
        self.options, self.path = options, options.work / "checkpoint.pt"
        self.sentences = Sentences(options.work / "shards")
        self.model = Lark()
        mean, deviation = (torch.from_numpy(values) for values in self.sentences.statistics())
        self.model.mean.copy_(mean), self.model.deviation.copy_(deviation)
        self.average = torch.optim.swa_utils.AveragedModel(
            self.model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998))
        self.optimisers = optimisers(self.model, options.rate)
        self.step, self.seconds = 0, 0.0
        if self.path.exists():
            self.load()
        elif options.start:
            self.begin(options.start)
        self.compiled = torch.compile(self.model) if options.compile else self.model

    def begin(self, folder: Path) -> None:
        """Takes the weights of an exported voice, whose training left nothing else."""
        from export import read

        self.model.load_state_dict(read(folder)[0].state_dict())
        self.average.module.load_state_dict(self.model.state_dict())

    def load(self) -> None:
        state = torch.load(self.path)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"]):
            optimiser.load_state_dict(saved)
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        state = {"model": self.model.state_dict(), "average": self.average.state_dict(), "step": self.step,
                 "optimisers": [optimiser.state_dict() for optimiser in self.optimisers], "seconds": self.seconds}
        part = self.path.with_suffix(".tmp")
        torch.save(state, part)
        part.rename(self.path)

    def learn(self) -> dict[str, float]:
        """One step; its losses."""
        batch = self.sentences.batch(np.random.default_rng([self.options.seed, self.step]), self.options.batch)
        found = losses(self.compiled, batch, self.model)
        sum(WEIGHTS[name] * value for name, value in found.items()).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self.options.rate * share(self.step, self.options.steps, self.options.decay)
            optimiser.step()
            optimiser.zero_grad()
        self.average.update_parameters(self.model)
        self.step += 1
        return {name: value.item() for name, value in found.items()}

    @torch.no_grad()
    def judge(self) -> dict[str, float]:
        """The losses of the averaged weights on what is never learnt from."""
        batch = self.sentences.kept(self.options.batch)
        return {name: value.item() for name, value in losses(self.average.module, batch, self.model).items()}

    def train(self) -> None:
        gathered, since = [], time.time()
        while self.step < self.options.steps:
            gathered.append(self.learn())
            if self.step % PRINT == 0:
                means = {name: np.mean([row[name] for row in gathered]) for name in gathered[0]}
                self.seconds += time.time() - since
                self.report("learnt", means)
                gathered, since = [], time.time()
            if self.step % SAVE == 0 or self.step == self.options.steps:
                self.sentences.grow(self.options.work / "shards")
                self.report("kept", self.judge())
                self.save()

    def report(self, kind: str, values: dict[str, float]) -> None:
        text = " ".join(f"{name} {value:.4f}" for name, value in values.items())
        line = f"{self.step} {self.seconds:.0f}s {len(self.sentences.items)} sentences {kind} {text}"
        print(line, flush=True)
        with open(self.options.work / "train.log", "a") as log:
            log.write(line + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--decay", type=float, default=0.4)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=Path, help="an exported voice to go on from, where there is no checkpoint")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    Run(options).train()


if __name__ == "__main__":
    main()
