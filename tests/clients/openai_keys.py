"""The official client against a server that asks for keys: base address and a key with the scope `infer` are given."""

import sys

import openai


def client(key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=sys.argv[1], api_key=key, max_retries=0)


assert client(sys.argv[2]).models.retrieve("whisper-1").id == "sconce/whisper-nano.en"

try:
    client("sk-nobody").models.list()
    raise AssertionError("a key that nobody knows was let in")
except openai.AuthenticationError as raised:
    assert (raised.status_code, raised.code) == (401, "invalid_api_key"), raised
    assert raised.request_id, raised

# One request a minute: the first is refused for what it says, the second before anybody looks at it.
wrong = {"file": ("noise.wav", b"no sound"), "model": "whisper-1"}
try:
    client(sys.argv[2]).audio.transcriptions.create(**wrong)
    raise AssertionError("noise was heard")
except openai.BadRequestError:
    pass
try:
    client(sys.argv[2]).audio.transcriptions.create(**wrong)
    raise AssertionError("the allowance has no end")
except openai.RateLimitError as raised:
    assert 1 <= int(raised.response.headers["retry-after"]) <= 60, raised

# Outside of what its scope covers, by the client's own way to ask for any path.
try:
    client(sys.argv[2]).post("/../download-models", cast_to=object)
    raise AssertionError("administration is open to everybody")
except openai.PermissionDeniedError as raised:
    assert raised.status_code == 403, raised
