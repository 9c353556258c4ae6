"""Make the example recordings: held-out voices, small files, one container and codec each.

`recordings.json` beside them tells what is said, by whom, and when (seconds).
"""

import argparse
import json
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile

import augment
from heldout import Recording, join
from synthesise import RATE, Espeak
from voices import HELD_OUT_VARIANTS, Voice


@dataclass(frozen=True)
class Example:
    """A file name, who speaks, the sentences, and the arguments that make ffmpeg encode it so."""

    file: str
    voice: Voice
    sentences: tuple[str, ...]
    encoder: tuple[str, ...]
    noise_snr_db: float | None = None


EXAMPLES = (
    Example("turn-on-the-kitchen-lights.wav", Voice("en-us+f4", 160, 50, 50), ("turn on the kitchen lights",), ("-c:a", "pcm_s16le")),
    Example("what-is-the-weather.mp3", Voice("en+linda", 155, 55, 60), ("what is the weather like in dublin tomorrow",),
            ("-c:a", "libmp3lame", "-b:a", "48k")),
    Example("wake-me-up.flac", Voice("en-gb-x-rp+edward", 150, 45, 50), ("wake me up at half past six in the morning",), ("-c:a", "flac")),
    Example("shopping-list.ogg", Voice("en-gb-scotland+m5", 155, 50, 55), ("add tomatoes and orange juice to my shopping list",),
            ("-c:a", "libvorbis", "-q:a", "3")),
    Example("play-piano-music.opus", Voice("en-us+Annie", 150, 50, 50), ("play piano music in the living room",),
            ("-c:a", "libopus", "-b:a", "24k")),
    Example("set-a-timer.m4a", Voice("en-029+m8", 150, 50, 50), ("set a timer for twenty five minutes",), ("-c:a", "aac", "-b:a", "48k")),
    Example("close-the-blinds.webm", Voice("en-us+michel", 160, 50, 50), ("close the bedroom blinds please",), ("-c:a", "libopus", "-b:a", "24k")),
    Example("good-morning.flac", Voice("en-us+steph2", 155, 55, 55), (
        "good morning", "turn on the coffee machine in the kitchen", "what is on my calendar today",
        "remind me to call grandma at four o'clock", "thank you very much"), ("-c:a", "flac")),
    Example("volume-in-noise.wav", Voice("en+m8", 155, 50, 50), ("set the volume to thirty percent",), ("-c:a", "pcm_s16le"), 10.0),
)


def speak(espeak: Espeak, example: Example, seed: int) -> Recording:
    """The recording before it is encoded."""
    assert example.voice.name.split("+")[1] in HELD_OUT_VARIANTS
    draw = np.random.default_rng(seed)
    gaps_s = draw.uniform(0.4, 0.9, len(example.sentences) + 1)
    made = join(example.file, [espeak.speak(text, example.voice) for text in example.sentences], list(gaps_s))
    if example.noise_snr_db is not None:
        heard = augment.add_noise(made.audio, augment.coloured(draw, len(made.audio), 0.5), example.noise_snr_db)
        made.audio = heard / max(1.0, np.abs(heard).max())
    return made


def encode(audio: np.ndarray, path: Path, encoder: tuple[str, ...]) -> None:
    """Write `audio` to `path` as the file's ending and `encoder` say; needs ffmpeg."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as plain:
        soundfile.write(plain.name, audio, RATE, subtype="PCM_16")
        subprocess.run(["ffmpeg", "-loglevel", "error", "-y", "-i", plain.name, "-fflags", "+bitexact", "-flags:a", "+bitexact",
                        "-map_metadata", "-1", *encoder, str(path)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    target = parser.parse_args().target
    target.mkdir(parents=True, exist_ok=True)
    espeak, rows = Espeak(), []
    for seed, example in enumerate(EXAMPLES):
        made = speak(espeak, example, seed)
        encode(made.audio, target / example.file, example.encoder)
        rows.append({"file": example.file, "voice": example.voice.name, "duration": round(len(made.audio) / RATE, 3), "text": made.text,
                     "noise_snr_db": example.noise_snr_db, "segments": [asdict(segment) for segment in made.segments]})
    (target / "recordings.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
