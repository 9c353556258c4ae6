"""Prints the text of a recording: pip install openai, then python transcribe.py talk.mp3 --model whisper-small

The server is the one in SCONCE_URL, the key the one in SCONCE_KEY.
"""

import argparse
import os
from pathlib import Path

from openai import APIStatusError, OpenAI

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("recording", type=Path)
parser.add_argument("--model", default="whisper-1", help="whisper-1 means the server's default model")
parser.add_argument("--language", help="such as en; detected if absent")
parser.add_argument("--format", default="text", choices=["text", "json", "srt", "vtt", "verbose_json"])
asked = parser.parse_args()

url = os.environ.get("SCONCE_URL", "http://localhost:8080")
# A model that is still on its way is 503, and a full queue 429: the client comes back by itself.
client = OpenAI(base_url=f"{url}/v1", api_key=os.environ.get("SCONCE_KEY", "none"), max_retries=5)
options = {"language": asked.language} if asked.language else {}
try:
    answer = client.audio.transcriptions.create(
        file=asked.recording, model=asked.model, response_format=asked.format, **options
    )
except APIStatusError as error:
    raise SystemExit(f"error: {error.message}") from error
print(answer.strip() if isinstance(answer, str) else answer.to_json())
