"""Saves or plays speech while it is made: python stream_speech.py "Good morning." --save morning.wav

Without --save it plays, by ffplay. The server is the one in SCONCE_URL, the key the one in SCONCE_KEY.
"""

import argparse
import os
import subprocess
import time

from openai import APIStatusError, OpenAI

PLAYER = ["ffplay", "-loglevel", "error", "-nodisp", "-autoexit", "-i", "-"]

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("text")
parser.add_argument("--save", metavar="FILE.wav")
parser.add_argument("--model", default="tts-1")
asked = parser.parse_args()

url = os.environ.get("SCONCE_URL", "http://localhost:8080")
client = OpenAI(base_url=f"{url}/v1", api_key=os.environ.get("SCONCE_KEY", "none"))
player = None if asked.save else subprocess.Popen(PLAYER, stdin=subprocess.PIPE)
sink = open(asked.save, "wb") if asked.save else player.stdin
ask = {"model": asked.model, "voice": "alloy", "input": asked.text, "response_format": "wav"}
began, first = time.monotonic(), None
try:
    with sink, client.audio.speech.with_streaming_response.create(**ask) as answer:
        for block in answer.iter_bytes(4096):
            first = first or time.monotonic() - began
            sink.write(block)
except APIStatusError as error:
    raise SystemExit(f"error: {error.message}") from error
print(f"the first sound came after {first * 1000:.0f} ms, the last after {(time.monotonic() - began) * 1000:.0f} ms")
if player:
    player.wait()
