"""The official client against a server with the embedded model and a folder for voices: base address and folder of
recordings are given."""

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

# Log-probabilities, whole and streamed.
weighed = create(file=lights, model=MODEL, include=["logprobs"])
assert "".join(token.token for token in weighed.logprobs).strip() == weighed.text, weighed
assert all(token.logprob <= 0 and bytes(map(int, token.bytes)) for token in weighed.logprobs), weighed
assert plain.logprobs is None, plain
*deltas, done = create(file=lights, model=MODEL, include=["logprobs"], stream=True)
assert [token.token for delta in deltas for token in delta.logprobs] == [token.token for token in done.logprobs], done

# Every way to cut a recording, as the client writes it into a form.
for strategy in ["auto", {"type": "server_vad", "prefix_padding_ms": 250, "silence_duration_ms": 600, "threshold": 0.4}]:
    cut = create(file=lights, model=MODEL, chunking_strategy=strategy)
    assert words(cut.text) == SAID, (strategy, cut)
deaf = create(file=lights, model=MODEL, chunking_strategy={"type": "server_vad", "threshold": 1.0})
assert deaf.text == "", deaf

assert words(create(file=lights, model=MODEL, language="en", prompt="Smart home.", temperature=0.0).text) == SAID
assert words(create(file=lights, model=MODEL, keywords=["kitchen", "lights"]).text) == SAID
assert create(file=lights, model=MODEL, response_format="verbose_json").words is None

# The same under the paths of Azure, whose client says the model there.
azure = openai.AzureOpenAI(azure_endpoint=sys.argv[1].removesuffix("/v1"), api_key="none", api_version="2024-06-01", max_retries=0)
assert words(azure.audio.transcriptions.create(file=lights, model=MODEL).text) == SAID
assert azure.audio.speech.create(model="tts-1", voice="alloy", input="Good morning.", response_format="wav").content[:4] == b"RIFF"

# What the model cannot do.
assert "speakers" in raises(openai.BadRequestError, response_format="diarized_json").message
for name in ["known_speaker_names", "known_speaker_references", "languages"]:
    assert raises(openai.BadRequestError, **{name: ["a"]}).param == name
assert raises(openai.BadRequestError, include=["logprobs"], response_format="vtt").param == "include"
try:
    client.audio.translations.create(file=lights, model=MODEL)
    raise AssertionError("a model that knows English only translated")
except openai.BadRequestError as raised:
    assert raised.param == "task" and raised.type == "invalid_request_error" and raised.code == "unsupported", raised

# Speech.
said = {"model": "tts-1", "voice": "alloy", "input": "Good morning."}
spoken = client.audio.speech.create(**said, response_format="wav", speed=1.5).content
assert spoken[:4] == b"RIFF" and len(spoken) > 10_000, len(spoken)
with client.audio.speech.with_streaming_response.create(**said, response_format="mp3") as streamed:
    blocks = list(streamed.iter_bytes(1024))
assert streamed.headers["content-type"] == "audio/mpeg" and sum(map(len, blocks)) > 3_000, blocks[:1]
try:
    client.audio.speech.create(model=MODEL, voice="alloy", input="Good morning.", response_format="wav", speed=1.5)
    raise AssertionError("a recogniser spoke")
except openai.BadRequestError as raised:
    assert raised.param == "model" and "synthesize" in raised.message, raised
try:
    client.audio.speech.create(**said | {"voice": {"id": "nobody"}})
    raise AssertionError("there is no such voice")
except openai.NotFoundError as raised:
    assert raised.param == "voice", raised

# Voices.
voice = client.audio.voices.create(name="anna", audio_sample=folder / "good-morning.flac", consent="given")
assert (voice.id, voice.object, voice.type) == ("anna", "audio.voice", "audio_sample") and voice.created_at > 0, voice
gone = client.audio.voices.delete("anna")
assert gone.id == "anna" and gone.deleted, gone
try:
    client.audio.voices.create(name="anna", audio_sample=("a.wav", b"no sound at all, however long"), consent="given")
    raise AssertionError("that is no voice")
except openai.BadRequestError as raised:
    assert raised.param == "audio_sample", raised
try:
    client.audio.voices.delete("anna")
    raise AssertionError("there is no such voice")
except openai.NotFoundError as raised:
    assert raised.param == "name", raised
