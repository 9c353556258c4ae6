"""A caller of a Vertex AI endpoint: one route, bodies of at most 1.5 MB, no header of its own that arrives.

Arguments: the server's address, its health route, its predict route, a short recording, a long one.
"""

import base64
import json
import sys
import urllib.error
import urllib.request
import uuid
from pathlib import Path

BASE, HEALTH, PREDICT = sys.argv[1:4]
LIGHTS, LONG = map(Path, sys.argv[4:6])
SAID = "turn on the kitchen lights"
# What a shared endpoint lets through, each way.
LIMIT = 1_500_000

direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def words(text: str) -> str:
    return " ".join("".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split())


def send(body: bytes, content_type: str) -> tuple[int, str, bytes]:
    """:rawPredict — any body to the predict route, the answer as it is."""
    assert len(body) <= LIMIT, len(body)
    request = urllib.request.Request(BASE + PREDICT, body, {"Content-Type": content_type})
    try:
        with direct.open(request, timeout=60) as answer:
            content = answer.read()
            assert len(content) <= LIMIT
            return answer.status, answer.headers["content-type"], content
    except urllib.error.HTTPError as error:
        return error.code, error.headers["content-type"], error.read()


def predict(instances: list, **parameters: object) -> dict:
    """:predict — the envelope."""
    body = json.dumps({"instances": instances, "parameters": parameters}).encode()
    status, _, content = send(body, "application/json")
    answer = json.loads(content)
    if status == 200:
        assert len(answer["predictions"]) == len(instances), answer
    else:
        assert answer["error"]["code"] == status, answer
    return answer


# the platform's probe
with direct.open(BASE + HEALTH, timeout=10) as answer:
    assert answer.status == 200 and json.load(answer)["status"] == "healthy"

# the largest recording that fits: base64 of 1.1 MB
wav = LIGHTS.read_bytes()
good = predict([{"audio": {"content": base64.b64encode(LONG.read_bytes()).decode()}}], language="en", timestamps="none")
assert "good morning" in words(good["predictions"][0]["text"]), good

# each instance has its own answer
encoded = base64.b64encode(wav).decode()
instances = [{"audio": encoded}, {"audio": "!"}, {"audio": {"b64": encoded}, "response_format": "srt"}]
mixed = predict(instances)["predictions"]
assert words(mixed[0]["text"]) == SAID and mixed[0]["segments"], mixed
assert (mixed[1]["error"]["status"], mixed[1]["error"]["code"]) == ("INVALID_ARGUMENT", 400), mixed
assert mixed[2].startswith("1\n00:00:0"), mixed

# errors have google.rpc's shape, with details by type
refused = predict([{"audio": encoded}], wait=-1)["error"]
details = {detail["@type"].rsplit(".", 1)[-1]: detail for detail in refused["details"]}
assert refused["status"] == "INVALID_ARGUMENT" and details["ErrorInfo"]["domain"] == "sconce", refused
assert details["BadRequest"]["fieldViolations"][0]["field"] == "wait", refused
# status and administration through the one route; what changes something is closed
status = predict([{}], action="models.status")["predictions"][0]
assert status["models"]["sconce/whisper-nano.en"]["status"] == "ready", status
assert predict([{}, {}], action="health")["predictions"][1]["status"] == "healthy"
for action in ("models.download", "models.load", "models.unload"):
    closed = predict([{}], action=action)["error"]
    assert closed["status"] == "PERMISSION_DENIED" and "http.admin" in closed["message"], closed

# rawPredict: a recording, a native body, and what OpenAI's clients send
kind, answer = send(wav, "audio/wav")[1:]
assert kind == "application/json" and words(json.loads(answer)["text"]) == SAID
assert words(json.loads(send(json.dumps({"audio": encoded}).encode(), "application/json")[2])["text"]) == SAID


def form(**fields: str) -> tuple[bytes, str]:
    mark = uuid.uuid4().hex
    head = f'--{mark}\r\nContent-Disposition: form-data; name='
    texts = "".join(f'{head}"{name}"\r\n\r\n{value}\r\n' for name, value in fields.items())
    file = f'{texts}{head}"file"; filename="a.wav"\r\n\r\n'.encode()
    return file + wav + f"\r\n--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


theirs = json.loads(send(*form(model="whisper-1", response_format="verbose_json"))[2])
assert theirs["task"] == "transcribe" and words(theirs["text"]) == SAID and theirs["usage"], theirs
ours = json.loads(send(*form(timestamps="none"))[2])
assert ours["model"] == "sconce/whisper-nano.en" and "segments" not in ours, ours
code, _, answer = send(json.dumps({"model": "whisper-1", "input": "hello", "voice": "x"}).encode(), "application/json")
assert code == 400 and "synthesize" in json.loads(answer)["error"]["message"], answer

# streamRawPredict
streamed = json.dumps({"instances": [{"audio": encoded}], "parameters": {"stream": True}}).encode()
kind, events = send(streamed, "application/json")[1:]
assert kind.startswith("text/event-stream"), kind
events = [json.loads(line.removeprefix(b"data: ")) for line in events.splitlines() if line.startswith(b"data: ")]
assert [event["instance"] for event in events] == [0] * len(events) and "segment" in events[0], events
assert words(events[-1]["prediction"]["text"]) == SAID, events
