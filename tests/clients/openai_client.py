"""The official client against a server with the embedded model: base address and folder of recordings are given."""

import sys
from pathlib import Path

import openai

MODEL = "whisper-nano.en"
SAID = "turn on the kitchen lights"

client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
folder = Path(sys.argv[2])
lights = folder / "turn-on-the-kitchen-lights.wav"
create = client.audio.transcriptions.create


def words(text: str) -> str:
    return " ".join("".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split())


plain = create(file=lights, model=MODEL)
assert words(plain.text) == SAID, plain
assert plain.usage.type == "duration" and plain.usage.seconds == 3, plain

verbose = create(file=lights, model=MODEL, response_format="verbose_json", timestamp_granularities=["word", "segment"])
assert [words(word.word) for word in verbose.words] == SAID.split(), verbose
assert verbose.segments[0].end <= verbose.duration, verbose

assert words(create(file=lights, model=MODEL, response_format="text")) == SAID
assert create(file=lights, model=MODEL, response_format="srt").startswith("1\n00:00:0")
assert create(file=lights, model=MODEL, response_format="vtt").startswith("WEBVTT")

events = list(create(file=folder / "good-morning.flac", model=MODEL, stream=True))
assert [event.type for event in events[:-1]] == ["transcript.text.delta"] * (len(events) - 1), events
assert events[-1].type == "transcript.text.done", events
assert "".join(event.delta for event in events[:-1]).strip() == events[-1].text, events

assert "sconce/whisper-nano.en" in [model.id for model in client.models.list()]
assert client.models.retrieve("whisper-1").id == "sconce/whisper-nano.en"


def raises(error: type[openai.APIStatusError], **arguments: object) -> openai.APIStatusError:
    try:
        create(**({"file": lights, "model": MODEL} | arguments))
    except error as raised:
        assert raised.request_id, raised
        return raised
    raise AssertionError(f"{arguments} raised nothing")


assert "did you mean" in raises(openai.NotFoundError, model="whisper-nanno.en").message
assert raises(openai.BadRequestError, language="klingon").param == "language"
assert raises(openai.BadRequestError, file=("noise.wav", b"no sound")).code == "invalid_request"
