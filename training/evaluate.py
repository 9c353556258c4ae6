"""Measure the recogniser on held-out voices and sentences.

    evaluate.py --server http://127.0.0.1:8080     through the server's API; needs requests, jiwer and espeak-ng
    evaluate.py --self assets/models/whisper-nano.en     through transformers

Prints a table in Markdown and exits with 1 when a figure misses its target.
"""

import argparse
import io
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import jiwer
import numpy as np
import requests
import soundfile

import heldout
from heldout import Recording
from synthesise import RATE, Espeak

Transcribe = Callable[[np.ndarray], dict]
TARGETS = {"clean": 0.05, "noise at 10 dB": 0.15, "several sentences": 0.05, "five minutes": 0.08}
TIME_TARGET_S = 0.2


def server(base: str, model: str, words: bool) -> Transcribe:
    """A transcriber behind `POST {base}/v1/audio/transcriptions`; raises on any HTTP error."""
    def transcribe(audio: np.ndarray) -> dict:
        wav = io.BytesIO()
        soundfile.write(wav, audio, RATE, format="WAV", subtype="PCM_16")
        reply = requests.post(f"{base}/v1/audio/transcriptions", timeout=600,
                              files={"file": ("recording.wav", wav.getvalue(), "audio/wav")},
                              data={"model": model, "response_format": "verbose_json", "temperature": "0",
                                    "timestamp_granularities[]": ["segment", "word"] if words else ["segment"]})
        reply.raise_for_status()
        return reply.json()
    return transcribe


def normalised(text: str) -> str:
    """Lower case, no punctuation but the apostrophe."""
    return " ".join("".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split())


def word_errors(said: str, heard: str) -> tuple[int, int]:
    """Wrong words, and words said."""
    words = normalised(said), normalised(heard)
    if not words[0]:
        return len(words[1].split()), 0
    found = jiwer.process_words(*words)
    return found.substitutions + found.deletions + found.insertions, len(words[0].split())


def time_errors(recording: Recording, segments: list[dict]) -> list[float]:
    """How far [s] each true start and end is from the nearest that was reported."""
    if not segments:
        return [float("inf")] * 2 * len(recording.segments)
    return [min(abs(getattr(true, side) - heard[side]) for heard in segments)
            for true in recording.segments for side in ("start", "end")]


def word_time_errors(recording: Recording, words: list[dict]) -> list[float]:
    """How far [s] each word's start is from the truth, where every word was heard rightly."""
    segment = recording.segments[0] if len(recording.segments) == 1 else None
    if not segment or not segment.word_starts or normalised(segment.text) != " ".join(normalised(w["word"]) for w in words):
        return []
    return [abs(true - heard["start"]) for true, heard in zip(segment.word_starts, words, strict=True)]


class Tally:
    """What was measured, by group of recordings."""

    def __init__(self) -> None:
        self.errors, self.words = defaultdict(int), defaultdict(int)
        self.recordings, self.talkative = defaultdict(int), defaultdict(int)
        self.times: dict[str, list[float]] = {"segment times": [], "word starts": []}

    def add(self, recording: Recording, answer: dict, show: bool) -> None:
        wrong, words = word_errors(recording.text, answer["text"])
        group = recording.group
        self.errors[group] += wrong
        self.words[group] += words
        self.recordings[group] += 1
        self.talkative[group] += bool(answer["text"].strip())
        if len(recording.segments) > 1:
            self.times["segment times"] += time_errors(recording, answer.get("segments", []))
        self.times["word starts"] += word_time_errors(recording, answer.get("words") or [])
        if show and wrong:
            print(f"  {group}: said {recording.text!r}\n{'':{len(group) + 2}}   heard {answer['text']!r}", file=sys.stderr)

    def rows(self) -> list[tuple[str, str, str, bool]]:
        """Figure, value, target, met."""
        rows = []
        for group in self.recordings:
            if group in TARGETS:
                value = self.errors[group] / self.words[group]
                rows.append((f"{group}: word errors of {self.words[group]} words in {self.recordings[group]} recordings",
                             f"{value:.2%}", f"<= {TARGETS[group]:.0%}", value <= TARGETS[group]))
            else:
                rows.append((f"{group}: recordings with any text, of {self.recordings[group]}",
                             str(self.talkative[group]), "0", self.talkative[group] == 0))
        return rows + [row for name, errors in self.times.items() if errors for row in time_rows(name, errors)]


def time_rows(name: str, errors_s: list[float]) -> list[tuple[str, str, str, bool]]:
    """Median, and how many are far off."""
    median_s, late = float(np.median(errors_s)), float(np.mean(np.array(errors_s) > TIME_TARGET_S))
    return [(f"{name}: median error of {len(errors_s)}", f"{median_s:.3f} s", f"<= {TIME_TARGET_S} s", median_s <= TIME_TARGET_S),
            (f"{name}: share off by more than {TIME_TARGET_S} s", f"{late:.1%}", "<= 5%", late <= 0.05)]


def recordings(count: int):
    """Every recording of the evaluation."""
    espeak = Espeak()
    yield from heldout.clean(espeak, count)
    yield from heldout.noisy(espeak, count)
    yield from heldout.nothing(count // 5)
    yield from heldout.several(espeak, count // 10)
    yield heldout.long(espeak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", help="base URL of a running server")
    parser.add_argument("--model", default="whisper-nano.en", help="the name that the server knows it by")
    parser.add_argument("--self", dest="path", type=Path, help="directory of an exported model")
    parser.add_argument("--count", type=int, default=300, help="sentences in the clean and the noisy set")
    parser.add_argument("--words", action="store_true", help="ask the server for word timestamps too")
    parser.add_argument("--show", action="store_true", help="print what was heard wrongly")
    arguments = parser.parse_args()
    if arguments.path:
        from reference import Reference
        transcribe = Reference(arguments.path).transcribe
    else:
        transcribe = server(arguments.server, arguments.model, arguments.words)
    tally = Tally()
    for recording in recordings(arguments.count):
        tally.add(recording, transcribe(recording.audio), arguments.show)
    rows = tally.rows()
    print("| figure | measured | target | met |\n|---|---|---|---|")
    for figure, value, target, met in rows:
        print(f"| {figure} | {value} | {target} | {'yes' if met else 'NO'} |")
    sys.exit(0 if all(met for *_, met in rows) else 1)


if __name__ == "__main__":
    main()
