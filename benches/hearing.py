"""What a Whisper hears here, beside openai-whisper and faster-whisper, on recordings of your own.

    pip install openai-whisper faster-whisper soundfile requests
    python benches/hearing.py http://127.0.0.1:8080 whisper-base base.pt ct2-folder recordings/*.wav

The same weights three times: of the server's model, of openai-whisper's checkpoint, of CTranslate2's folder. All decode
greedily, with temperature fall-back, in English. A line says whether the three texts are equal, and shows them if not.
Recordings are mono, at 16 kHz.
"""

import argparse
from pathlib import Path

import requests
import soundfile
import whisper
from faster_whisper import WhisperModel


def sconce(server: str, model: str, path: Path) -> list[str]:
    fields = {"model": model, "language": "en", "response_format": "verbose_json"}
    with path.open("rb") as file:
        answer = requests.post(f"{server}/v1/audio/transcriptions", data=fields, files={"file": file}, timeout=3600)
    answer.raise_for_status()
    return [f"{segment['start']:.2f}-{segment['end']:.2f}{segment['text']}" for segment in answer.json()["segments"]]


def openai(model: whisper.Whisper, path: Path) -> list[str]:
    samples, _ = soundfile.read(path, dtype="float32")
    segments = model.transcribe(samples, language="en", fp16=False)["segments"]
    return [f"{segment['start']:.2f}-{segment['end']:.2f}{segment['text']}" for segment in segments]


def faster(model: WhisperModel, path: Path) -> list[str]:
    segments, _ = model.transcribe(str(path), language="en", beam_size=1, best_of=1)
    return [f"{segment.start:.2f}-{segment.end:.2f}{segment.text}" for segment in segments]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server")
    parser.add_argument("model", help="its name on the server")
    parser.add_argument("checkpoint", help="of openai-whisper")
    parser.add_argument("folder", help="of CTranslate2")
    parser.add_argument("recordings", nargs="+", type=Path)
    asked = parser.parse_args()
    theirs, fast = whisper.load_model(asked.checkpoint), WhisperModel(asked.folder, device="cpu", compute_type="float32")
    for path in asked.recordings:
        heard = {"sconce": sconce(asked.server, asked.model, path), "openai-whisper": openai(theirs, path),
                 "faster-whisper": faster(fast, path)}
        equal = len({" ".join(lines) for lines in heard.values()}) == 1
        print(path.name, "equal" if equal else "different", *heard["sconce"] if equal else "", sep="\n  ")
        if not equal:
            for who, lines in heard.items():
                print(f"  {who}:", *lines, sep="\n    ")


if __name__ == "__main__":
    main()
