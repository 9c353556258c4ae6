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
    assert 1 <= int(raised.response.headers["retry-after-ms"]) <= 120_000, raised
    assert raised.code == "model_loading" and raised.type == "server_error", raised

patient = client.with_options(max_retries=10).audio.transcriptions.with_raw_response
answer = patient.create(file=Path(sys.argv[2]), model="acme/nano")
assert "kitchen" in answer.parse().text.lower()
assert answer.retries_taken > 0, answer

# What will be the same next time is not tried again, once that is known.
try:
    client.with_options(max_retries=5).audio.transcriptions.create(file=Path(sys.argv[2]), model="acme/missing")
    raise AssertionError("there is no such repository")
except openai.InternalServerError as raised:
    assert raised.response.headers["x-should-retry"] == "false", raised.response.headers
    assert int(raised.request.headers["x-stainless-retry-count"]) < 5, raised.request.headers
