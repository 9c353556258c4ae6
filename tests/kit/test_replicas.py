"""A bad night: three replicas behind nginx on one shared cache, stopped and killed at random under load.

A request is *lost* if it gets no answer, or a wrong one, although a replica that held it lived on. What a killed replica
held is given to another one by nginx; what cannot be (an answer that has begun to arrive, a request whose replicas fell
one after the other, not only by SIGTERM) has *died with its replica* and is counted apart. SIGTERM loses nothing.

KIT_SECONDS says how long the night is, KIT_SEED repeats its decisions.
"""

import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException

import pytest
from calls import infer, openai, predict
from conftest import EMBEDDED, RECORDING, ROOT
from prometheus import Prometheus
from proxy import Nginx
from server import PATIENCE, until

SECONDS = int(os.environ.get("KIT_SECONDS", "30"))
MODEL = "acme/nano"
WEIGHTS = f"{MODEL}/model.safetensors"
SIZE = (EMBEDDED / "model.safetensors").stat().st_size
CLIENTS = 6
RATE = 800_000
"""Bytes per second of each connection to the hub: the first download takes seconds, and they are hit in it."""
TIME_LAPSE = 24
"""How many times faster than shipped the alerts are."""
DOWN_FOR = 120 / TIME_LAPSE
"""Seconds after which SconceDown fires."""
SLACK = 0.2
"""Seconds between what this process and nginx call one moment."""
LONG = DOWN_FOR + 6
"""An outage that must be seen; one shorter than DOWN_FOR - 2 must not."""
DECLARED = {"busy", "model_loading", "stopping"}
"""What a server under stress may say instead of an answer, with a Retry-After."""


def steady_port():
    """A free port that no outgoing connection takes while nobody listens on it."""
    while True:
        port = random.randrange(18000, 32000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


@dataclass
class Outage:
    signal: str
    begin: float
    end: float = float("inf")
    """When the port was open again."""


@dataclass
class Replica:
    """One of the three: a port on which a process comes and goes."""

    start_server: callable
    port: int
    server: object = None
    ready: bool = False
    outages: list = field(default_factory=list)
    wrong: list = field(default_factory=list)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        self.server = self.start_server(self.port)
        self.ready = self.server.ask("/health/ready").status == 200

    def fall(self, name, seconds):
        """Sends the signal, and starts it again so many seconds after it ended."""
        self.ready = False
        self.outages.append(Outage(name, time.time()))
        self.server.process.send_signal(getattr(signal, name))
        back = threading.Thread(target=self._come_back, args=[self.outages[-1], seconds], daemon=True)
        back.start()
        return back

    def _come_back(self, outage, seconds):
        try:
            code = self.server.process.wait(PATIENCE)
            assert outage.signal == "SIGKILL" or code == 0, f"{self.address} ended with {code} after SIGTERM"
            time.sleep(seconds)
            self.start()
            outage.end = time.time()
        except BaseException as error:
            self.wrong.append(error)


@dataclass
class Request:
    name: str
    path: str
    begin: float
    end: float = 0.0
    status: int = 0
    outcome: str = ""
    """`answered`, `refused` with a declared code, or `failed`."""
    why: str = ""


class Load:
    """Clients that ask one request after the other, each in another protocol."""

    def __init__(self, url, seed):
        recording = RECORDING.read_bytes()
        self.calls = [
            openai(recording, MODEL),
            openai(recording, MODEL, stream=True),
            predict(recording),
            infer(recording, MODEL),
        ]
        self.host = url.removeprefix("http://")
        self.requests = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._client, args=[seed, n], daemon=True) for n in range(CLIENTS)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def finish(self):
        self.over.set()
        for thread in self.threads:
            thread.join(2 * PATIENCE)
            assert not thread.is_alive(), "a client waits for ever"

    def _client(self, seed, number):
        chance = random.Random(f"{seed} client {number}")
        count = 0
        while not self.over.wait(chance.uniform(0.05, 0.4)):
            call, count = chance.choice(self.calls), count + 1
            request = Request(f"{number}-{count}", call.path, time.time())
            try:
                self._ask(call, request)
            except (OSError, HTTPException) as error:
                request.outcome, request.why = "failed", repr(error)
            request.end = time.time()
            self.requests.append(request)

    def _ask(self, call, request):
        connection = HTTPConnection(self.host, timeout=2 * PATIENCE)
        connection.request("POST", call.path, call.body, call.headers | {"X-Request-Id": request.name})
        response = connection.getresponse()
        request.status = response.status
        body = response.read()
        connection.close()
        request.outcome, request.why = judged(call, response, body)


def judged(call, response, body):
    """What came of a request, and why."""
    if response.status == 200:
        try:
            heard = call.text(body).lower()
        except (AssertionError, ValueError, KeyError) as error:
            return "failed", repr(error)
        return ("answered", "") if "kitchen lights" in heard else ("failed", f"heard {heard}")
    # The Open Inference Protocol has texts and no codes.
    text = body.lower().replace(b"the server is stopping", b"stopping")
    code = next((code for code in DECLARED if f'"{code}"'.encode() in text), None)
    if code and response.headers["Retry-After"]:
        return "refused", code
    return "failed", body[:300].decode(errors="replace")


class Chaos:
    """Decides who falls when, how, and for how long. One replica is always left ready."""

    def __init__(self, replicas, hub, seed, seconds):
        self.replicas, self.hub = replicas, hub
        self.chance = random.Random(f"{seed} chaos")
        self.seconds = seconds
        self.returns = []
        self._signals = []

    def rage(self):
        """The first download is hit first: each replica is killed in turn, whoever of them is at it."""
        begin = time.monotonic()
        until(lambda: self.hub.sent[WEIGHTS] > SIZE / 5, "a download that is under way")
        for replica in self.chance.sample(self.replicas, len(self.replicas)):
            time.sleep(self.chance.uniform(0.8, 1.5))
            self._fell(replica, "SIGKILL", self.chance.uniform(0, 0.5))
        long_at = begin + self.seconds * self.chance.uniform(0.3, 0.4)
        while (now := time.monotonic()) < begin + self.seconds:
            time.sleep(self.chance.uniform(0.5, 2.5))
            ready = [replica for replica in self.replicas if replica.ready]
            if len(ready) < 2:
                continue
            outage = self.chance.uniform(0, 1)
            if now > long_at:
                outage, long_at = LONG, now + 60
            self._fell(self.chance.choice(ready), self._signal(), outage)
        for thread in self.returns:
            thread.join(2 * PATIENCE)

    def _fell(self, replica, name, seconds):
        self.returns.append(replica.fall(name, seconds))

    def _signal(self):
        """Half of them are of each kind, in no order."""
        if not self._signals:
            self._signals = self.chance.sample(["SIGTERM", "SIGTERM", "SIGKILL", "SIGKILL"], 4)
        return self._signals.pop()


@dataclass
class Night:
    replicas: list
    requests: list
    tried: dict
    """What nginx did with each request, by name; see Nginx.tried."""
    fired: set
    hub: object
    during_download: int
    """Kills before the weights were there."""

    def died(self):
        return [request for request in self.requests if request.outcome == "failed" and self.explained(request)]

    def lost(self):
        return [request for request in self.requests if request.outcome == "failed" and not self.explained(request)]

    def baseless(self):
        """Requests that were told that a server stops, though none that held them was told to."""
        told = [request for request in self.requests if request.why == "stopping"]
        return [request for request in told
                if not any(self.signals(each, self.tried[request.name]) for each in self.tried[request.name].holders)]

    def explained(self, request):
        """Whether every replica that held it went away meanwhile, and one of them by SIGKILL."""
        tried = self.tried[request.name]
        signals = [self.signals(address, tried) for address in tried.holders]
        return all(signals) and any("SIGKILL" in each for each in signals)

    def signals(self, address, tried):
        """What a replica was told while nginx was about a request."""
        return [outage.signal for replica, outage in self.outages()
                if replica.address == address and tried.begin - SLACK <= outage.begin <= tried.end + SLACK]

    def outages(self):
        return [(replica, outage) for replica in self.replicas for outage in replica.outages]

    def told(self):
        signals = Counter(outage.signal for _, outage in self.outages())
        outcomes = Counter(request.outcome for request in self.requests)
        refused = Counter(request.why for request in self.requests if request.outcome == "refused")
        repeated = sum(len(tried.holders) > 1 for tried in self.tried.values())
        return (
            f"requests {len(self.requests)}, answered {outcomes['answered']}, refused {dict(refused)}, "
            f"died with their replica {len(self.died())}, lost {len(self.lost())}, given to another one {repeated}; "
            f"stops {dict(signals)}, {self.during_download} of them in the first download; "
            f"downloads {dict(self.hub.downloads)}, of the weights {self.hub.sent[WEIGHTS]} of {SIZE} bytes; "
            f"alerts {sorted(one.name for one in self.fired)}"
        )


@pytest.fixture
def seed():
    seed = int(os.environ.get("KIT_SEED") or random.randrange(10**6))
    print(f"KIT_SEED={seed} KIT_SECONDS={SECONDS}")
    return seed


@pytest.fixture
def night(serve, hub, tmp_path, seed):
    """What happened in it."""
    hub.rate = RATE
    environment = {"MODEL_ID": MODEL, "HF_ENDPOINT": hub.url, "SCONCE_RUNTIME__THREADS": "1"}
    replicas = [Replica(lambda port: serve(environment, port), steady_port()) for _ in range(3)]
    for replica in replicas:
        replica.start()
    nginx = Nginx(tmp_path, [replica.port for replica in replicas])
    rules = ROOT / "charts/sconce/files/rules.yaml"
    prometheus = Prometheus(tmp_path, [replica.address for replica in replicas], rules, TIME_LAPSE)
    try:
        load, chaos = Load(nginx.url, seed), Chaos(replicas, hub, seed, SECONDS)
        complete = threading.Thread(target=note_completion, args=[hub, moment := []], daemon=True)
        complete.start()
        load.start()
        chaos.rage()
        load.finish()
        complete.join(PATIENCE)
        during = sum(outage.begin < moment[0] for replica in replicas for outage in replica.outages)
        yield Night(replicas, load.requests, nginx.tried(), prometheus.fired(), hub, during)
    finally:
        prometheus.close()
        nginx.close()


def note_completion(hub, moment):
    """When the hub had sent all of the weights."""
    until(lambda: hub.sent[WEIGHTS] >= SIZE, "complete", seconds=SECONDS)
    moment.append(time.time())


@pytest.mark.timeout(SECONDS + 300)
def test_a_bad_night_loses_no_request_and_downloads_once(night, program, tmp_path):
    print(night.told())
    assert [replica.wrong for replica in night.replicas] == [[], [], []]
    assert len(night.requests) > SECONDS / 2
    assert night.baseless() == []
    assert night.lost() == [], [(request, night.tried[request.name]) for request in night.lost()]

    assert night.during_download >= 1
    assert WEIGHTS in night.hub.downloads and set(night.hub.downloads.values()) == {1}
    assert night.hub.sent[WEIGHTS] < 1.5 * SIZE, "a killed replica's bytes were fetched again"
    cache = {"HF_HUB_CACHE": str(tmp_path / "cache"), "MODEL_ID": MODEL}
    verified = subprocess.run([program, "verify", MODEL], env=cache, capture_output=True, timeout=PATIENCE)
    assert verified.returncode == 0, verified.stderr

    critical = {one for one in night.fired if one.label("severity") == "critical"}
    assert {one.name for one in critical} <= {"SconceDown"}
    down = {one.label("instance") for one in critical}
    assert down, "one was away for long"
    assert away(night, DOWN_FOR + 4) <= down <= away(night, DOWN_FOR - 2)


def away(night, seconds):
    """The replicas that were away for longer than that."""
    return {replica.address for replica, outage in night.outages() if outage.end - outage.begin > seconds}
