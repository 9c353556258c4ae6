"""The official client with fields that the server does not know, where `http.unknown_fields` is `warn`."""

import sys

from openai import OpenAI

url, recording = sys.argv[1:]
client = OpenAI(base_url=url, api_key="none")

with open(recording, "rb") as file:
    raw = client.audio.transcriptions.with_raw_response.create(
        file=file, model="whisper-1", extra_body={"colour": "green", "min_silence": 0.5}
    )
ignored = raw.headers["x-sconce-ignored"].split(", ")
assert sorted(ignored) == ["colour", "min_silence"], ignored
assert "kitchen" in raw.parse().text.lower(), raw.text

raw = client.audio.speech.with_raw_response.create(
    model="tts-1", voice="lark", input="Good morning.", response_format="wav", extra_body={"colour": "green"}
)
assert raw.headers["x-sconce-ignored"] == "colour", raw.headers
assert raw.content[:4] == b"RIFF", raw.content[:4]
