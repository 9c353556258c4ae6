"""Training windows: utterances placed in six seconds, and what the decoder is to say about them.

Labels follow Whisper. `<|start|> words <|end|>` for each utterance; the last one, when the window
cuts it, gets its start alone, so that a transcriber begins its next window there. When the cut one is
also the first, it is closed after its last whole word and opened again, so that nothing is lost.
A window without speech answers `<|nospeech|>` to `<|startoftranscript|>`, and no text.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

import augment
from audio import RATE, WINDOW, LogMel
from sounds import Sounds
from tokens import WINDOW_S, Tokens

PREVIOUS_MOST = 63
EASY_WINDOWS = 16_000
IGNORED = -100


Span = tuple[float, float]


@dataclass
class Spoken:
    """An utterance in a window: when [s], its whole words and their times, and whether it ends inside."""

    start_s: float
    end_s: float
    words: list[str]
    spans: list[Span]
    complete: bool


@dataclass
class Window:
    """Samples, decoder ids of which the first `prompt` are given, when each id is spoken [s], and the phonemes.

    The last of the given ids is `<|startoftranscript|>`; what follows is to be predicted.
    """

    audio: np.ndarray
    ids: list[int]
    prompt: int
    spans: list[Span | None]
    sounds: list[int]


class Corpus:
    """The utterances that synthesise.py wrote, in memory-mapped int16."""

    def __init__(self, folder: Path) -> None:
        self.rows = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
        self._audio = np.memmap(folder / "corpus.i16", "<i2", mode="r")
        self._by_voice: dict[str, list[int]] = {}
        for index, row in enumerate(self.rows):
            self._by_voice.setdefault(row["voice"], []).append(index)

    def draw(self, draw: np.random.Generator, like: dict | None = None) -> dict:
        """Any row, or one by the same voice as `like`."""
        if like is None:
            return self.rows[draw.integers(len(self.rows))]
        return self.rows[draw.choice(self._by_voice[like["voice"]])]

    def audio(self, row: dict) -> np.ndarray:
        return self._audio[row["offset"]: row["offset"] + row["length"]].astype(np.float32) / 32768


class Windows(Dataset):
    """Window number n is the same in every run with the same corpus.

    The first ones are easier: fewer sentences, less noise, no previous text.
    """

    def __init__(self, corpus: Corpus, tokens: Tokens, sounds: Sounds, seed: int, count: int) -> None:
        self._corpus, self._tokens, self._sounds, self._seed, self._count = corpus, tokens, sounds, seed, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Window:
        draw = np.random.default_rng([self._seed, number])
        hard = draw.random() < number / EASY_WINDOWS
        if draw.random() < 0.08:
            audio = augment.nothing(draw, WINDOW, lambda: self._babble(draw))
            return Window(audio, *self._label(draw, [], hard), [])
        speech, spoken = self._compose(draw, hard)
        if not any(one.words for one in spoken):
            return self[number + 1_000_000_000]
        sounds = self._sounds.words([word for one in spoken for word in one.words])
        audio = augment.distort(draw, speech, lambda: self._babble(draw)) if hard else augment.levelled(draw, speech)
        return Window(audio, *self._label(draw, spoken, hard), sounds)

    # --- audio

    def _compose(self, draw: np.random.Generator, hard: bool) -> tuple[np.ndarray, list[Spoken]]:
        """Fill a window from left to right."""
        window, spoken, row = np.zeros(WINDOW, np.float32), [], None
        same_voice, at = draw.random() < 0.5, self._first_gap(draw, window)
        while at < WINDOW:
            row = self._corpus.draw(draw, row if same_voice else None)
            audio, words, cuts = self._utterance(draw, row, from_middle=at == 0 and draw.random() < 0.4)
            spoken.append(_place(window, audio, words, cuts, at))
            if draw.random() < (0.2 if hard else 0.6):
                break
            at += len(audio) + int(RATE * (0.2 + draw.exponential(0.4)))
        return window, spoken

    def _first_gap(self, draw: np.random.Generator, window: np.ndarray) -> int:
        """Samples before the first speech; now and then the tail of what was said before is in them."""
        kind = draw.random()
        if kind < 0.3:
            return 0
        gap = int(RATE * (draw.uniform(0, 5.0) if kind < 0.45 else draw.exponential(0.5)))
        if kind > 0.8 and gap > RATE // 5:
            tail = self._corpus.audio(self._corpus.draw(draw))[-int(RATE * draw.uniform(0.01, 0.08)):]
            window[: len(tail)] += tail
        return gap

    def _utterance(self, draw: np.random.Generator, row: dict, from_middle: bool):
        """Samples, words and cuts [(words, s)] of a row, perhaps faster or slower, perhaps without its first words."""
        audio, words, cuts = self._corpus.audio(row), row["text"].split(), row["cuts"]
        if from_middle and cuts:
            skipped, start_s = cuts[draw.integers(len(cuts))]
            audio, words = audio[int(start_s * RATE):], words[skipped:]
            cuts = [(count - skipped, time - start_s) for count, time in cuts if count > skipped]
        if draw.random() < 0.6:
            speed = draw.uniform(0.88, 1.14)
            audio = np.interp(np.arange(0, len(audio) - 1, speed), np.arange(len(audio)), audio).astype(np.float32)
            cuts = [(count, time / speed) for count, time in cuts]
        level = 10 ** (draw.uniform(-8, 0) / 20) / (np.abs(audio).max() + 1e-6)
        return audio * level, words, cuts

    def _babble(self, draw: np.random.Generator) -> np.ndarray:
        """Six to ten voices at once."""
        murmur = np.zeros(WINDOW, np.float32)
        for _ in range(draw.integers(6, 11)):
            at = 0
            while at < WINDOW:
                audio = self._corpus.audio(self._corpus.draw(draw))[: WINDOW - at]
                murmur[at: at + len(audio)] += audio / (np.abs(audio).max() + 1e-6)
                at += len(audio) + 1
        return murmur / murmur.std()

    # --- text

    def _label(self, draw: np.random.Generator, spoken: list[Spoken], hard: bool) -> tuple[list[int], int, list]:
        """Decoder ids from the prompt to `<|endoftext|>`, the prompt's length, and the span of each id."""
        tokens = self._tokens
        prompt = (self._previous(draw) if hard else []) + [tokens["<|startoftranscript|>"]]
        timed = draw.random() < 0.7
        if not spoken:
            first = tokens.time(0 if draw.random() < 0.5 else draw.uniform(0, WINDOW_S))
            answer = [(first if timed else tokens["<|notimestamps|>"], None)]
        elif timed:
            answer = self._timed(spoken)
        else:
            answer = [(tokens["<|notimestamps|>"], None)] + [pair for one in spoken for pair in self._words(one)]
        ids = prompt + [id for id, _ in answer] + [tokens.end]
        return ids, len(prompt), [None] * len(prompt) + [span for _, span in answer] + [None]

    def _words(self, one: Spoken) -> list[tuple[int, Span]]:
        """Ids of the words, each with the span of its word."""
        return [(id, span) for word, span in zip(one.words, one.spans, strict=True) for id in self._tokens.words([word])]

    def _time(self, seconds: float) -> tuple[int, Span]:
        return self._tokens.time(seconds), (seconds, seconds)

    def _timed(self, spoken: list[Spoken]) -> list[tuple[int, Span]]:
        """Ids with timestamps, each with its span."""
        answer = []
        for one in spoken:
            answer.append(self._time(one.start_s))
            if one.complete or one is spoken[0]:
                answer += [*self._words(one), self._time(one.end_s)]
            if not one.complete and one is spoken[0]:
                answer.append(self._time(one.end_s))
        return answer

    def _previous(self, draw: np.random.Generator) -> list[int]:
        """Text said earlier: none, some, or as much as the decoder takes."""
        kind = draw.random()
        if kind < 0.65:
            return []
        most, ids = PREVIOUS_MOST if kind > 0.85 else draw.integers(2, PREVIOUS_MOST), []
        while len(ids) < most:
            ids = self._tokens.words(self._corpus.draw(draw)["text"].split()) + ids
        return [self._tokens["<|startofprev|>"]] + ids[-most:]


def _place(window: np.ndarray, audio: np.ndarray, words: list[str], cuts: list, at: int) -> Spoken:
    """Mix `audio` into `window` at sample `at`, as far as it fits."""
    part = audio[: WINDOW - at]
    window[at: at + len(part)] += part
    start_s, end_s = at / RATE, (at + len(audio)) / RATE
    ends = [(count, start_s + time) for count, time in cuts] + [(len(words), end_s)]
    whole = [(count, time) for count, time in ends if time <= WINDOW_S]
    count, last_s = whole[-1] if whole else (0, start_s)
    return Spoken(start_s, last_s, words[:count], _spans(start_s, whole), count == len(words))


def _spans(start_s: float, ends: list[tuple[int, float]]) -> list[Span]:
    """A span for each word, from the ends [s] after so many words; words between two ends share one."""
    spans, before = [], start_s
    for count, end_s in ends:
        spans += [(before, end_s)] * (count - len(spans))
        before = end_s
    return spans


class Collate:
    """A batch of windows as tensors; features are made here, once for all of them."""

    def __init__(self, tokens: Tokens) -> None:
        self._log_mel, self._end, self._no_speech = LogMel(), tokens.end, tokens["<|nospeech|>"]

    def __call__(self, windows: list[Window]) -> dict[str, torch.Tensor]:
        """mel `[batch, 80, frames]`, ids and labels `[batch, length]`, spans `[batch, length, 2]` of what is
        predicted there [s] or NaN, sounds `[sum]` with their lengths `[batch]`."""
        longest = max(len(window.ids) for window in windows) - 1
        ids = torch.full((len(windows), longest), self._end)
        labels = torch.full((len(windows), longest), IGNORED)
        spans = torch.full((len(windows), longest, 2), torch.nan)
        for row, window in enumerate(windows):
            last, known = len(window.ids) - 1, range(window.prompt - 1, len(window.ids) - 1)
            ids[row, :last] = torch.tensor(window.ids[:-1])
            labels[row, window.prompt - 1: last] = torch.tensor(window.ids[window.prompt:])
            for at in known:
                spans[row, at] = torch.tensor(window.spans[at + 1] or (torch.nan, torch.nan))
            if not window.sounds:
                labels[row, window.prompt - 1] = self._no_speech
        audio = torch.from_numpy(np.stack([window.audio for window in windows]))
        return {"mel": self._log_mel(audio), "ids": ids, "labels": labels, "spans": spans,
                "sounds": torch.tensor([id for window in windows for id in window.sounds], dtype=torch.long),
                "sound_lengths": torch.tensor([len(window.sounds) for window in windows])}
