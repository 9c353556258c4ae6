"""Transcriptions asked for in each protocol, and what a right answer holds."""

import base64
import io
import json
import wave
from typing import NamedTuple

BOUNDARY = "the-end-of-a-part"


class Call(NamedTuple):
    path: str
    body: bytes
    headers: dict

    def text(self, body):
        """What was heard, if the answer is whole."""
        if b"transcript.text" in body:
            return streamed(body)
        answer = json.loads(body)
        return answer["outputs"][0]["data"][0] if "outputs" in answer else answer["text"]


def openai(recording, model, stream=False):
    fields = {"model": model, "stream": str(stream).lower()}
    parts = [part(f'name="{name}"', value.encode()) for name, value in fields.items()]
    parts.append(part('name="file"; filename="recording.wav"', recording))
    body = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    return Call("/v1/audio/transcriptions", body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})


def part(disposition, data):
    return f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + data + b"\r\n"


def predict(recording):
    return Call("/predict", recording, {"Content-Type": "audio/wav"})


def infer(recording, model):
    audio = {"name": "audio", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(recording).decode()]}
    body = json.dumps({"inputs": [audio]}).encode()
    return Call(f"/v2/models/{model}/infer", body, {"Content-Type": "application/json"})


def streamed(body):
    """The text of an event stream, or an assertion that it breaks off."""
    events = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: {")]
    done = [event for event in events if event["type"] == "transcript.text.done"]
    assert len(done) == 1, f"the stream breaks off after {len(events)} events"
    return done[0]["text"]


def repeated(path, times):
    """A recording so many times in a row."""
    with wave.open(str(path)) as source:
        parameters, frames = source.getparams(), source.readframes(source.getnframes())
    out = io.BytesIO()
    with wave.open(out, "wb") as target:
        target.setparams(parameters)
        target.writeframes(frames * times)
    return out.getvalue()
