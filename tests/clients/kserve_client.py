"""KServe's official REST client. Arguments: the server's address, a recording."""

import asyncio
import sys
from pathlib import Path

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

MODEL = "whisper-nano.en"
SAID = "turn on the kitchen lights"


def words(text: bytes | str) -> str:
    text = text.decode() if isinstance(text, bytes) else text
    return " ".join("".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split())


def request(wav: bytes, outputs: list[RequestedOutput] | None = None) -> InferRequest:
    audio = InferInput(name="audio", shape=[1], datatype="BYTES")
    audio.set_data_from_numpy(np.array([wav], dtype=np.object_), binary_data=True)
    parameters = {"language": "en", "binary_data_output": outputs is None}
    return InferRequest(model_name=MODEL, infer_inputs=[audio], request_outputs=outputs, parameters=parameters)


async def main(base: str, wav: bytes) -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v2", timeout=120))
    assert await client.is_server_live(base) and await client.is_server_ready(base)
    assert not await client.is_model_ready(base, MODEL)

    # bytes both ways
    answer = await client.infer(base, request(wav), model_name=MODEL)
    assert words(answer.get_output_by_name("text").as_numpy()[0]) == SAID, answer
    assert 2 < answer.get_output_by_name("duration").as_numpy()[0] < 3, answer
    assert await client.is_model_ready(base, MODEL)

    # bytes in, JSON out
    answer = await client.infer(base, request(wav, [RequestedOutput("text")]), model_name=MODEL)
    assert [output.name for output in answer.outputs] == ["text"] and words(answer.outputs[0].data[0]) == SAID, answer

    # float samples in JSON, as the dictionary that the documentation shows
    samples = np.frombuffer(wav[44:], dtype="<i2").astype(np.float32) / 32768
    tensor = {"name": "samples", "shape": [1, len(samples)], "datatype": "FP32", "data": samples.tolist()}
    rate = int.from_bytes(wav[24:28], "little")
    data = {"id": "9", "inputs": [tensor], "parameters": {"sample_rate": rate}}
    answer = await client.infer(base, data, model_name=MODEL)
    assert answer.id == "9" and words(answer.get_output_by_name("text").data[0]) == SAID, answer

    for model, bad, status in [("nobody", wav, 404), (MODEL, b"no sound", 400)]:
        try:
            await client.infer(base, request(bad), model_name=model)
            raise AssertionError(f"{model} raised nothing")
        except httpx.HTTPStatusError as raised:
            assert raised.response.status_code == status, raised
            assert raised.response.json()["error"] in str(raised), raised
    await client.close()


asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes()))
