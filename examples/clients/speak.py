"""Speaks a text into a file: pip install openai, then python speak.py "Good morning." morning.mp3

The server is the one in SCONCE_URL, the key the one in SCONCE_KEY.
"""

import argparse
import os
from pathlib import Path

from openai import APIStatusError, OpenAI

FORMATS = ["mp3", "opus", "aac", "flac", "wav", "pcm"]

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("text")
parser.add_argument("file", type=Path, help=f"its ending is the format: {', '.join(FORMATS)}")
parser.add_argument("--model", default="tts-1", help="tts-1 means the server's default model that speaks")
parser.add_argument("--voice", default="alloy", help="alloy means the model's usual voice")
parser.add_argument("--speed", type=float, default=1.0)
asked = parser.parse_args()
if (kind := asked.file.suffix.removeprefix(".")) not in FORMATS:
    parser.error(f"{asked.file} should end in one of {', '.join(FORMATS)}")

url = os.environ.get("SCONCE_URL", "http://localhost:8080")
client = OpenAI(base_url=f"{url}/v1", api_key=os.environ.get("SCONCE_KEY", "none"))
try:
    speech = client.audio.speech.create(
        model=asked.model, voice=asked.voice, input=asked.text, response_format=kind, speed=asked.speed
    )
except APIStatusError as error:
    raise SystemExit(f"error: {error.message}") from error
speech.write_to_file(asked.file)
print(f"{asked.file}: {asked.file.stat().st_size} bytes")
