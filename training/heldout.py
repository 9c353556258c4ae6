"""Recordings to judge by: held-out voices say held-out sentences. The same in every run."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

import augment
from synthesise import RATE, Espeak, Utterance, utterance

SEED = 99
NOISE_SNR_DB = 10.0
LONG_S = 300.0


@dataclass
class Segment:
    """One sentence and when it is spoken, in seconds; also each word's start, where espeak told."""

    start: float
    end: float
    text: str
    word_starts: list[float] | None = None


@dataclass
class Recording:
    """Samples `[n]` in -1..1 at 16 kHz and what is said in them."""

    group: str
    audio: np.ndarray
    segments: list[Segment] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)


def join(group: str, said: list[Utterance], gaps_s: list[float]) -> Recording:
    """Utterances in a row, `gaps_s[0]` before the first and one gap after each."""
    parts, segments, at = [_silence(gaps_s[0])], [], gaps_s[0]
    for one, gap_s in zip(said, gaps_s[1:], strict=True):
        length_s = len(one.audio) / RATE
        spans = one.word_spans()
        starts = [round(at + start, 3) for start, _ in spans] if spans else None
        segments.append(Segment(round(at, 3), round(at + length_s, 3), one.text, starts))
        parts += [one.audio / np.abs(one.audio).max() * 0.5, _silence(gap_s)]
        at = sum(map(len, parts)) / RATE
    return Recording(group, np.concatenate(parts).astype(np.float32), segments)


def _silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def clean(espeak: Espeak, count: int) -> Iterator[Recording]:
    """One sentence each, a little silence around it."""
    for number in range(count):
        draw = np.random.default_rng([SEED, number])
        yield join("clean", [utterance(espeak, number, held_out=True)], list(draw.uniform(0.05, 0.5, 2)))


def noisy(espeak: Espeak, count: int) -> Iterator[Recording]:
    """The sentences of `clean` with noise, 10 dB under the power of the active speech."""
    for number, recording in enumerate(clean(espeak, count)):
        draw = np.random.default_rng([SEED, 1, number])
        heard = augment.add_noise(recording.audio, augment.noise(draw, len(recording.audio)), NOISE_SNR_DB)
        recording.audio = heard / max(1.0, np.abs(heard).max())
        recording.group = "noise at 10 dB"
        yield recording


def several(espeak: Espeak, count: int, sentences: int = 4) -> Iterator[Recording]:
    """Several sentences with pauses of 0.3 to 1.2 s, one voice after another."""
    for number in range(count):
        draw = np.random.default_rng([SEED, 2, number])
        said = [utterance(espeak, 10_000 + number * sentences + index, held_out=True) for index in range(sentences)]
        yield join("several sentences", said, list(draw.uniform(0.3, 1.2, sentences + 1)))


def long(espeak: Espeak) -> Recording:
    """Five minutes of sentences with pauses of 0.3 to 2 s."""
    draw, said, gaps_s, total_s = np.random.default_rng([SEED, 3]), [], [0.5], 0.5
    while total_s < LONG_S:
        said.append(utterance(espeak, 20_000 + len(said), held_out=True))
        gaps_s.append(draw.uniform(0.3, 2.0))
        total_s += len(said[-1].audio) / RATE + gaps_s[-1]
    return join("five minutes", said, gaps_s)


def nothing(count: int) -> Iterator[Recording]:
    """Digital silence, then noises from faint to loud, one to ten seconds."""
    for seconds in (0.5, 3.0, 10.0):
        yield Recording("silence", _silence(seconds))
    for number in range(count):
        draw = np.random.default_rng([SEED, 4, number])
        made = augment.noise(draw, int(RATE * draw.uniform(1, 10)))
        peak = 10 ** (draw.uniform(-60, -3) / 20)
        yield Recording("noise alone", (made / np.abs(made).max() * peak).astype(np.float32))
