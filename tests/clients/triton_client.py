"""Triton's official HTTP client against a server with the embedded model and one that is not loaded yet (acme/nano).

Arguments: the server as host:port, the folder of recordings.
"""

import base64
import io
import json
import sys
import wave
from pathlib import Path

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

MODEL = "whisper-nano.en"
SAID = "turn on the kitchen lights"

lights = Path(sys.argv[2]) / "turn-on-the-kitchen-lights.wav"
client = triton.InferenceServerClient(sys.argv[1], network_timeout=120, connection_timeout=120)


def words(text: bytes | str) -> str:
    text = text.decode() if isinstance(text, bytes) else text
    return " ".join("".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split())


def tensor(name: str, datatype: str, array: np.ndarray, binary: bool = True) -> triton.InferInput:
    tensor = triton.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def strings(name: str, *elements: bytes, binary: bool = True) -> triton.InferInput:
    return tensor(name, "BYTES", np.array(elements, dtype=np.object_), binary)


def raises(call, status: str, part: str) -> None:
    try:
        call()
    except InferenceServerException as raised:
        assert raised.status() == status and part in raised.message(), raised
        return
    raise AssertionError(f"nothing was raised where {status} {part!r} was due")


# what there is
assert client.is_server_live() and client.is_server_ready()
assert client.get_server_metadata()["extensions"] == ["model_repository", "binary_tensor_data"]
metadata = client.get_model_metadata(MODEL)
assert [port["name"] for port in metadata["outputs"]] == ["text", "language", "duration", "segments"], metadata
assert metadata["inputs"][0] == {"name": "audio", "datatype": "BYTES", "shape": [-1]}, metadata

# bytes in, bytes out, in all ways of packing
wav = lights.read_bytes()
for sent, wanted in [(None, None), ("gzip", "gzip"), ("deflate", "deflate")]:
    result = client.infer(
        MODEL,
        [strings("audio", wav), strings("language", b"en")],
        request_id="42",
        request_compression_algorithm=sent,
        response_compression_algorithm=wanted,
    )
    assert words(result.as_numpy("text")[0]) == SAID, result.get_response()
    assert result.get_response()["id"] == "42"
    assert 2 < result.as_numpy("duration")[0] < 3 and result.as_numpy("duration").dtype == np.float64

# a batch, with outputs of both kinds
binaries = {"text": True, "segments": False}
outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name, binary in binaries.items()]
weather = (Path(sys.argv[2]) / "what-is-the-weather.mp3").read_bytes()
result = client.infer(MODEL, [strings("audio", wav, weather)], outputs=outputs, parameters={"timestamps": "word"})
assert [words(text) for text in result.as_numpy("text")] == [SAID, "what is the weather like in dublin tomorrow"], result.as_numpy("text")
assert len(json.loads(result.as_numpy("segments")[0])[0]["words"]) == 5
assert result.as_numpy("language") is None

# JSON in, JSON out: a recording is base64 there
plain = [triton.InferRequestedOutput(name, binary_data=False) for name in ("text", "duration")]
result = client.infer(MODEL, [strings("audio", base64.b64encode(wav), binary=False)], outputs=plain)
assert words(result.as_numpy("text")[0]) == SAID

# float samples
with wave.open(str(lights)) as file:
    rate = file.getframerate()
    samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float32) / 32768
    samples = samples.reshape(-1, file.getnchannels()).mean(axis=1)
for binary in (True, False):
    hertz = tensor("sample_rate", "INT32", np.array([rate], dtype=np.int32), binary)
    inputs = [tensor("samples", "FP32", samples[np.newaxis], binary), hertz]
    assert words(client.infer(MODEL, inputs).as_numpy("text")[0]) == SAID

# texts, spoken: rows of samples, and files where they are named
speaks = client.get_model_metadata("lark.en")
assert speaks["inputs"][0] == {"name": "text", "datatype": "BYTES", "shape": [-1]}, speaks
spoken = {}
for binary in (True, False):
    named = ("audio", "lengths", "sample_rate", "wav")
    result = client.infer(
        "lark.en",
        [
            strings("text", b"Good morning.", b"Good evening, everybody.", binary=binary),
            strings("voice", b"lark", binary=binary),
            tensor("speed", "FP32", np.array([1.5], dtype=np.float32), binary),
        ],
        outputs=[triton.InferRequestedOutput(name, binary_data=binary) for name in named],
        parameters={"seed": 7},
    )
    sound, lengths = result.as_numpy("audio"), result.as_numpy("lengths")
    assert sound.dtype == np.float32 and sound.shape == (2, lengths.max()), (sound.dtype, sound.shape, lengths)
    assert not sound[0, lengths[0] :].any() and lengths[0] < lengths[1], lengths
    assert list(result.as_numpy("sample_rate")) == [24000, 24000]
    for row, file in enumerate(result.as_numpy("wav")):
        with wave.open(io.BytesIO(file if binary else base64.b64decode(file))) as file:
            assert (file.getframerate(), file.getnframes()) == (24000, lengths[row])
    spoken[binary] = sound
assert np.allclose(spoken[True], spoken[False], atol=1e-6), "the same seed says the same"
assert set(client.infer("lark.en", [strings("text", b"Hi.")]).get_response()["outputs"][i]["name"] for i in range(3)) == {
    "audio",
    "lengths",
    "sample_rate",
}

# side by side
waiting = [client.async_infer(MODEL, [strings("audio", wav)]) for _ in range(2)]
assert all(words(one.get_result().as_numpy("text")[0]) == SAID for one in waiting)

# the repository
def state(name: str) -> str:
    return next(model["state"] for model in client.get_model_repository_index() if model["name"] == name)


assert not client.is_model_ready("nano") and state("nano") == "UNAVAILABLE"
client.load_model("nano")
assert client.is_model_ready("nano") and state("nano") == "READY"
version = client.get_model_metadata("nano")["versions"][0]
assert words(client.infer("nano", [strings("audio", wav)], model_version=version).as_numpy("text")[0]) == SAID
client.unload_model("nano")
assert not client.is_model_ready("nano") and state("nano") == "UNAVAILABLE"

# what goes wrong is an exception of its own
raises(lambda: client.infer("whisper-nanno.en", [strings("audio", wav)]), "404", "did you mean")
raises(lambda: client.infer(MODEL, [strings("audio", b"no sound")]), "400", "audio")
raises(lambda: client.infer(MODEL, [strings("audio", wav), strings("language", b"klingon")]), "400", "English")
raises(lambda: client.infer(MODEL, [strings("sound", wav)]), "400", "audio")
raises(lambda: client.infer(MODEL, [strings("text", b"Hi.")]), "501", "does not synthesize")
raises(lambda: client.infer("lark.en", [strings("audio", wav)]), "501", "does not transcribe")
raises(lambda: client.infer("lark.en", [strings("text", b"?!")]), "400", "punctuation")
raises(lambda: client.infer("lark.en", [strings("text", b"Hi."), strings("voice", b"larc")]), "400", "did you mean lark?")
raises(lambda: client.infer(MODEL, [strings("audio", wav)], model_version="7"), "404", "version")
raises(lambda: client.load_model("nobody"), "404", "nobody")
raises(lambda: client.load_model("nano", config="{}"), "501", "config")
raises(lambda: client.get_model_config(MODEL), "404", "/config")
