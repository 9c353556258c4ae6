"""Speak sentences with espeak-ng and keep them as one flat file of samples with an index.

`corpus.i16`   every utterance after the other, 16 kHz mono int16, trimmed to the speech itself
`corpus.jsonl` per line: offset and length [samples], text, voice, cuts [[words, seconds], ...]

A cut `[k, t]` says that the first k words are over at t seconds; espeak reports them.
Utterance number n depends only on n and the seed, so an interrupted run goes on where it was.
"""

import argparse
import ctypes
import ctypes.util
import json
import math
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from grammar import sentence
from voices import Voice, voice

RATE = 16_000
SEED = 2026
LONGEST_S = 4.8
SPEECH_FLOOR_DB = -38.0


@dataclass
class Utterance:
    """Trimmed speech `[samples]` in -1..1 at 16 kHz, its text, and where it may be cut."""

    audio: np.ndarray
    text: str
    voice: str
    cuts: list[tuple[int, float]]

    def word_spans(self) -> list[tuple[float, float]] | None:
        """Start and end [s] of each word, if espeak reported them all."""
        starts = [0.0] + [time for _, time in self.cuts]
        if len(starts) != len(self.text.split()):
            return None
        return list(zip(starts, starts[1:] + [len(self.audio) / RATE]))


class _Event(ctypes.Structure):
    """`espeak_EVENT` of speak_lib.h."""

    _fields_ = [("type", ctypes.c_int), ("identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
                ("length", ctypes.c_int), ("audio_ms", ctypes.c_int), ("sample", ctypes.c_int),
                ("user", ctypes.c_void_p), ("id", ctypes.c_char * 8)]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
_SYNCHRONOUS, _UTF8, _BY_CHARACTER = 2, 1, 1
_EVENT_END, _EVENT_WORD = 0, 1
_IPA = 2
_PARAMETER = {"rate": 1, "pitch": 3, "range": 4}


class Espeak:
    """libespeak-ng in this process; one instance only, the library is global."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(ctypes.util.find_library("espeak-ng"))
        self._rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, None, 0)
        self._heard: list[np.ndarray] = []
        self._words: list[tuple[int, float]] = []
        self._callback = _CALLBACK(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples, count: int, events) -> int:
        if count > 0:
            self._heard.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _EVENT_END:
            if events[index].type == _EVENT_WORD:
                self._words.append((events[index].text_position - 1, events[index].audio_ms / 1000))
            index += 1
        return 0

    def speak(self, text: str, who: Voice) -> Utterance:
        """Synthesise `text`; errors if espeak knows no such voice."""
        self._heard, self._words = [], []
        if self._library.espeak_SetVoiceByName(who.name.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {who.name}")
        for name, number in _PARAMETER.items():
            self._library.espeak_SetParameter(number, getattr(who, name), 0)
        spoken = text.encode()
        self._library.espeak_Synth(spoken, len(spoken) + 1, 0, _BY_CHARACTER, 0, _UTF8, None, None)
        common = math.gcd(RATE, self._rate)
        audio = resample_poly(np.concatenate(self._heard) / 32768.0, RATE // common, self._rate // common)
        start, end = speech_bounds(audio)
        return Utterance(audio[start:end].astype(np.float32), text, who.name, self._cuts(text, start / RATE))

    def phonemes(self, word: str) -> str:
        """American pronunciation of `word` in IPA, without stress and length."""
        self._library.espeak_SetVoiceByName(b"en-us")
        text = ctypes.c_char_p(word.encode())
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        spoken = self._library.espeak_TextToPhonemes(ctypes.byref(text), _UTF8, _IPA).decode()
        return "".join(symbol for symbol in spoken if symbol.isalpha() and symbol not in "\u02c8\u02cc\u02d0\u02b2")

    def _cuts(self, text: str, start_s: float) -> list[tuple[int, float]]:
        """Word starts after the first, as (words before it, seconds since the speech began)."""
        return [(text[:at].count(" "), round(time - start_s, 3)) for at, time in self._words
                if at > 0 and text[at - 1] == " " and time > start_s]


def speech_bounds(audio: np.ndarray) -> tuple[int, int]:
    """First and last sample above the floor, by the energy of 20 ms frames every 5 ms."""
    hop, width = RATE // 200, RATE // 50
    power = np.convolve(audio**2, np.ones(width) / width, mode="same")[::hop]
    loud = np.flatnonzero(power > power.max() * 10 ** (SPEECH_FLOOR_DB / 10))
    return max(0, int(loud[0]) * hop - hop), min(len(audio), int(loud[-1]) * hop + hop)


def utterance(espeak: Espeak, number: int, held_out: bool = False) -> Utterance:
    """Utterance `number` of the split: another number, another sentence, voice and manner."""
    rng = random.Random(f"{SEED}/{'test' if held_out else 'train'}/{number}")
    while True:
        said = espeak.speak(sentence(rng, held_out), voice(rng, held_out))
        if len(said.audio) <= LONGEST_S * RATE:
            return said


def extend(folder: Path, count: int) -> None:
    """Grow the corpus in `folder` to `count` training utterances."""
    folder.mkdir(parents=True, exist_ok=True)
    index_path, audio_path = folder / "corpus.jsonl", folder / "corpus.i16"
    lines = index_path.read_text().splitlines() if index_path.exists() else []
    end = sum(json.loads(lines[-1])[key] for key in ("offset", "length")) if lines else 0
    espeak = Espeak()
    with open(audio_path, "r+b" if audio_path.exists() else "wb") as audio, open(index_path, "a") as index:
        audio.seek(end * 2)
        for number in range(len(lines), count):
            said = utterance(espeak, number)
            audio.write((np.clip(said.audio, -1, 1) * 32767).astype("<i2").tobytes())
            audio.flush()
            row = {"offset": end, "length": len(said.audio), "text": said.text, "voice": said.voice, "cuts": said.cuts}
            index.write(json.dumps(row) + "\n")
            index.flush()
            end += len(said.audio)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=60_000)
    arguments = parser.parse_args()
    extend(arguments.folder, arguments.count)


if __name__ == "__main__":
    main()
