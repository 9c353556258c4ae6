"""The official client's realtime sessions against a server with the embedded models: base address and folder of recordings
are given."""

import asyncio
import base64
import sys
import wave
from pathlib import Path

import openai

MODEL = "whisper-nano.en"
SAID = "turn on the kitchen lights"
COMPLETED = "conversation.item.input_audio_transcription.completed"
DELTA = "conversation.item.input_audio_transcription.delta"

folder = Path(sys.argv[2])
with wave.open(str(folder / "turn-on-the-kitchen-lights.wav")) as recording:
    assert recording.getframerate() == 16_000 and recording.getsampwidth() == 2
    samples = memoryview(recording.readframes(recording.getnframes())).cast("h")
# Sessions take 24 kHz: the nearest sample does for a recording of speech.
at_24_khz = [samples[min(round(at * 2 / 3), len(samples) - 1)] for at in range(len(samples) * 3 // 2)]
sound = b"".join(sample.to_bytes(2, "little", signed=True) for sample in at_24_khz)
silence = bytes(24_000 * 2)


def words(text: str) -> str:
    return " ".join("".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split())


def session(turn_detection: dict | None) -> dict:
    transcription = {"model": MODEL, "language": "en"}
    given = {"format": {"type": "audio/pcm", "rate": 24_000}, "transcription": transcription}
    return {"type": "transcription", "audio": {"input": given | {"turn_detection": turn_detection}}}


def pieces(pcm: bytes):
    for start in range(0, len(pcm), 4800):
        yield base64.b64encode(pcm[start : start + 4800]).decode()


client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)

# The caller says where the item ends.
with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
    created = connection.recv()
    assert created.type == "session.created", created
    assert created.session.type == "transcription", created
    connection.session.update(session=session(None))
    updated = connection.recv()
    assert updated.type == "session.updated", updated
    assert updated.session.audio.input.turn_detection is None, updated
    for piece in pieces(sound):
        connection.input_audio_buffer.append(audio=piece)
    connection.input_audio_buffer.commit()
    deltas = ""
    for event in connection:
        if event.type == DELTA:
            deltas += event.delta
        if event.type == COMPLETED:
            break
        assert event.type != "error", event
    assert words(event.transcript) == SAID, event
    assert deltas == event.transcript, deltas
    assert event.usage.type == "duration" and 2 < event.usage.seconds < 3, event
    # What is wrong is an event, and the session goes on.
    connection.input_audio_buffer.commit()
    error = connection.recv()
    assert error.type == "error" and error.error.type == "invalid_request_error", error
    connection.input_audio_buffer.clear()
    assert connection.recv().type == "input_audio_buffer.cleared"


async def detected() -> None:
    """The server finds out where somebody speaks."""
    client = openai.AsyncOpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
    async with client.realtime.connect(model=MODEL, extra_query={"intent": "transcription"}) as connection:
        await connection.session.update(session=session({"type": "server_vad", "silence_duration_ms": 400}))
        for piece in pieces(silence + sound + silence):
            await connection.input_audio_buffer.append(audio=piece)
        seen = []
        async for event in connection:
            seen.append(event.type)
            if event.type == COMPLETED:
                break
        assert words(event.transcript) == SAID, event
        for kind in ("speech_started", "speech_stopped", "committed"):
            assert f"input_audio_buffer.{kind}" in seen, seen
        assert seen.index("conversation.item.added") < seen.index(COMPLETED), seen


asyncio.run(detected())

# A text is spoken, and all events are those that the client knows.
with client.realtime.connect(model="tts-1") as connection:
    assert connection.recv().type == "session.created"
    output = {"voice": "alloy", "format": {"type": "audio/pcm", "rate": 24_000}}
    connection.session.update(session={"type": "realtime", "audio": {"output": output}})
    updated = connection.recv()
    assert updated.type == "session.updated" and updated.session.type == "realtime", updated
    assert updated.session.audio.output.voice == "alloy", updated
    text = "Good morning."
    content = [{"type": "input_text", "text": text}]
    connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
    connection.response.create()
    spoken = b""
    for event in connection:
        assert event.type != "error", event
        if event.type == "response.output_audio.delta":
            spoken += base64.b64decode(event.delta)
        if event.type == "response.done":
            break
    assert event.response.status == "completed", event
    assert event.response.output[0].content[0].transcript == text, event
    assert 0.4 < len(spoken) / 2 / 24_000 < 5, len(spoken)
    connection.response.create(response={"input": [{"type": "message", "role": "user", "content": [
        {"type": "input_text", "text": text * 100}]}]})  # fmt: skip
    connection.response.cancel()
    for event in connection:
        assert event.type != "error", event
        if event.type == "response.done":
            break
    assert event.response.status == "cancelled", event
    assert event.response.status_details.reason == "client_cancelled", event
