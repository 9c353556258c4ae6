"""The official client against a model that is still on its way: 503 and Retry-After make it come back by itself."""

import sys
from pathlib import Path

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
try:
    client.audio.transcriptions.create(file=Path(sys.argv[2]), model="acme/nano")
    raise AssertionError("the model was there at once")
except openai.InternalServerError as raised:
    assert raised.status_code == 503 and int(raised.response.headers["retry-after"]) >= 1, raised

patient = client.with_options(max_retries=10)
assert "kitchen" in patient.audio.transcriptions.create(file=Path(sys.argv[2]), model="acme/nano").text.lower()
