"""Who says what, as the official `openai` client asks for it and reads it. Arguments: the address, and the folder of recordings."""

import base64
import sys
from pathlib import Path

import openai

MODEL = "whisper-nano.en"

client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
lights = Path(sys.argv[2], "turn-on-the-kitchen-lights.wav")
reference = "data:audio/wav;base64," + base64.b64encode(lights.read_bytes()).decode()


def create(**fields):
    return client.audio.transcriptions.create(file=lights, model=MODEL, response_format="diarized_json", **fields)


told = create()
assert told.task == "transcribe" and told.duration > 1 and told.usage.type == "duration", told
assert [segment.speaker for segment in told.segments] == ["A"] and "kitchen" in told.segments[0].text.lower(), told
assert told.segments[0].type == "transcript.text.segment" and told.text.startswith("A: "), told

known = create(known_speaker_names=["Ann"], known_speaker_references=[reference], chunking_strategy="auto")
assert {segment.speaker for segment in known.segments} == {"Ann"}, known

*events, done = create(stream=True)
segments = [event for event in events if event.type == "transcript.text.segment"]
deltas = [event for event in events if event.type == "transcript.text.delta"]
assert [segment.speaker for segment in segments] == ["A"] and segments[0].id == deltas[0].segment_id, events
assert done.type == "transcript.text.done" and "".join(delta.delta for delta in deltas) == done.text, done
