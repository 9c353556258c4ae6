"""Speaks by POST /generate, with nothing but Python itself: python client.py "Good morning." morning.wav

The server is the one in SCONCE_URL, the key the one in SCONCE_KEY.
"""

import argparse
import json
import os
import urllib.error
import urllib.request
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("text")
parser.add_argument("file", type=Path, help="a WAV file")
parser.add_argument("--voice", help="the model's usual one if absent")
parser.add_argument("--audio-prompt", help="a recording in voices.dir, for a model that speaks by one")
asked = parser.parse_args()

body = {"text": asked.text, "voice": asked.voice, "audio_prompt_path": asked.audio_prompt}
request = urllib.request.Request(
    os.environ.get("SCONCE_URL", "http://localhost:8080") + "/generate",
    data=json.dumps({name: value for name, value in body.items() if value}).encode(),
    headers={"Content-Type": "application/json", "Authorization": f"Bearer {os.environ.get('SCONCE_KEY', 'none')}"},
)
try:
    with urllib.request.urlopen(request) as answer:
        asked.file.write_bytes(answer.read())
except urllib.error.HTTPError as error:
    raise SystemExit(f"error: {error.code}: {error.read().decode()}") from error
print(f"{asked.file}: {asked.file.stat().st_size} bytes")
