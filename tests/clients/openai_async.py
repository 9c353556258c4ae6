"""The official asynchronous client against a server that works on one request and keeps one more waiting: base address
and folder of recordings are given."""

import asyncio
import io
import sys
import wave
from pathlib import Path

import openai

MODEL = "whisper-nano.en"
folder = Path(sys.argv[2])
lights = folder / "turn-on-the-kitchen-lights.wav"


def babble(times: int) -> bytes:
    with wave.open(str(lights)) as said:
        parameters, frames = said.getparams(), said.readframes(said.getnframes())
    file = io.BytesIO()
    with wave.open(file, "wb") as repeated:
        repeated.setparams(parameters)
        repeated.writeframes(frames * times)
    return file.getvalue()


async def main() -> None:
    async with openai.AsyncOpenAI(base_url=sys.argv[1], api_key="none", max_retries=0) as client:
        create = client.audio.transcriptions.create
        assert "kitchen" in (await create(file=lights, model=MODEL)).text.lower()
        events = [event async for event in await create(file=lights, model=MODEL, stream=True)]
        assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"], events
        assert "sconce/whisper-nano.en" in [model.id async for model in client.models.list()]

        # More than there is room for: who comes too late is told at once, and the others are still at work.
        long = ("long.wav", babble(200))
        running = [asyncio.create_task(create(file=long, model=MODEL)) for _ in range(4)]
        done, left = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        full = done.pop().exception()
        assert isinstance(full, openai.RateLimitError), full
        assert full.type == "rate_limit_error" and full.code == "busy" and full.request_id, full
        assert int(full.response.headers["retry-after"]) >= 1, full.response.headers
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

        # Who comes back finds room, because those who left are worked on no more.
        patient = client.with_options(max_retries=10)
        assert "kitchen" in (await patient.audio.transcriptions.create(file=lights, model=MODEL)).text.lower()


asyncio.run(main())
