"""The package `wyoming` as a client, as Home Assistant uses it: address and folder of recordings are given."""

import asyncio
import sys
import wave
from pathlib import Path

from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop, wav_to_chunks
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

SAID = "turn on the kitchen lights"
host, port = sys.argv[1].rsplit(":", 1)
folder = Path(sys.argv[2])


def words(text: str) -> str:
    return " ".join("".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split())


def client() -> AsyncTcpClient:
    return AsyncTcpClient(host, int(port))


async def until(connection: AsyncTcpClient, *ends: type) -> list:
    events = []
    while (event := await connection.read_event()) is not None:
        events.append(event)
        if any(end.is_type(event.type) for end in ends):
            return events
    raise AssertionError(f"no {ends} in {events}")


async def described() -> str:
    async with client() as connection:
        await connection.write_event(Describe().event())
        info = Info.from_event((await until(connection, Info))[-1])
    (asr,) = info.asr
    assert asr.installed and asr.supports_transcript_streaming, asr
    assert "sconce/whisper-nano.en" in [model.name for model in asr.models if "en" in model.languages], asr
    (tts,) = info.tts
    assert tts.installed and tts.supports_synthesize_streaming, tts
    return tts.voices[0].name


async def transcribed() -> None:
    async with client() as connection:
        await connection.write_event(Ping("there?").event())
        assert Pong.from_event((await until(connection, Pong))[-1]).text == "there?"
        await connection.write_event(Transcribe(name="sconce/whisper-nano.en", language="en").event())
        with wave.open(str(folder / "turn-on-the-kitchen-lights.wav")) as recording:
            for event in wav_to_chunks(recording, 1024, start_event=True, stop_event=True):
                await connection.write_event(event.event())
        events = await until(connection, TranscriptStop)
        assert TranscriptStart.is_type(events[0].type), events
        transcript = next(Transcript.from_event(event) for event in events if Transcript.is_type(event.type))
        parts = [TranscriptChunk.from_event(event).text for event in events if TranscriptChunk.is_type(event.type)]
        assert words(transcript.text) == SAID and "".join(parts) == transcript.text, events


def seconds(events: list) -> float:
    assert AudioStart.is_type(events[0].type), events
    return sum(AudioChunk.from_event(event).seconds for event in events if AudioChunk.is_type(event.type))


async def spoken(voice: str) -> None:
    async with client() as connection:
        await connection.write_event(Synthesize("Good morning.", voice=SynthesizeVoice(name=voice)).event())
        assert 0.4 < seconds(await until(connection, AudioStop)) < 5
        await connection.write_event(Synthesize("Good morning.", voice=SynthesizeVoice(name="nobody")).event())
        assert "nobody" in Error.from_event((await until(connection, Error))[-1]).text
        await connection.write_event(SynthesizeStart(voice=SynthesizeVoice(name=voice)).event())
        for part in ["Good mor", "ning. Wake", " me up."]:
            await connection.write_event(SynthesizeChunk(part).event())
        await connection.write_event(Synthesize("Good morning. Wake me up.").event())
        await connection.write_event(SynthesizeStop().event())
        events = await until(connection, SynthesizeStopped)
        assert seconds(events) > 1, events
        assert sum(AudioStop.is_type(event.type) for event in events) == 1, events


async def everything() -> None:
    voice = await described()
    await transcribed()
    await spoken(voice)


asyncio.run(everything())
