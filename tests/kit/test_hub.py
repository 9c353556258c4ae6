"""The stand-ins that the other tests stand on."""

from conftest import RECORDING


def test_the_server_fetches_a_model_from_the_hub_once_and_serves_it(serve, hub):
    server = serve({"HF_ENDPOINT": hub.url, "MODEL_ID": "acme/nano"})
    answer = server.ask("/predict?wait=60", RECORDING.read_bytes(), {"Content-Type": "audio/wav"})
    assert "kitchen lights" in answer.json()["text"].lower(), answer
    assert server.ask("/predict", RECORDING.read_bytes(), {"Content-Type": "audio/wav"}).status == 200
    assert hub.downloads["acme/nano/model.safetensors"] == 1
    assert server.stop() == 0
