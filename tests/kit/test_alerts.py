"""Every alert, by its cause: real servers get into trouble, a real Prometheus scrapes them and follows the shipped
rules.

The expressions are those that are shipped, but a minute of theirs takes a second. Each trouble has a server and a job
of its own, and all of them happen at the same time; each test waits for one.
"""

import json
import subprocess
import threading
import time
import wave
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import yaml
from conftest import EMBEDDED, RECORDING, ROOT
from hub import Hub
from prometheus import Prometheus
from server import Server, free_port, until

RULES = ROOT / "charts/sconce/files/rules.yaml"
WAV = {"Content-Type": "audio/wav"}


class Scene:
    """One Prometheus, and the servers that it scrapes, by the name of their trouble."""

    def __init__(self, program, fragile, folder, names):
        self.program, self.fragile, self.folder = program, fragile, folder
        self.ports = {name: free_port() for name in names}
        self.servers = []
        self.over = threading.Event()
        targets = {f"sconce-{name}": [f"127.0.0.1:{port}"] for name, port in self.ports.items()}
        self.prometheus = Prometheus(folder, targets, RULES, factor=60)

    def serve(self, name, environment=None, program=None):
        """A server that Prometheus has seen."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        server = Server(program or self.program, folder, environment, self.ports[name])
        self.servers.append(server)
        server.opened()
        self.sees(f'up{{job="sconce-{name}"}} == 1')
        return server

    def sees(self, expression):
        """Waits until Prometheus has anything of the kind."""
        until(lambda: self.prometheus.query(expression), f"seen: {expression}", pause=0.2)

    def fires(self, alert, name):
        until(lambda: (alert, name) in named(self.prometheus.alerts()), f"firing: {alert} of {name}", 80, pause=0.2)

    def calms(self, alert, name):
        until(lambda: (alert, name) not in named(self.prometheus.alerts()), f"over: {alert} of {name}", 80, pause=0.2)

    @contextmanager
    def callers(self, server, count, body, pause):
        """So many callers who send a body again and again."""
        over = threading.Event()

        def call():
            while not over.is_set() and not self.over.is_set():
                try:
                    server.ask("/predict", body, WAV)
                except OSError:
                    pass
                over.wait(pause)

        callers = [threading.Thread(target=call, daemon=True) for _ in range(count)]
        for caller in callers:
            caller.start()
        try:
            yield
        finally:
            over.set()
            for caller in callers:
                caller.join()

    def close(self):
        self.over.set()
        for server in self.servers:
            server.kill()
        self.prometheus.close()


# === Troubles: what happens, which alerts fire, and that they are over with their cause ===


def healthy(scene):
    """Under load while others are in trouble."""
    server = scene.serve("healthy")
    with scene.callers(server, 2, RECORDING.read_bytes(), 0.2):
        scene.sees('sum(sconce_requests_total{job="sconce-healthy", outcome="ok"}) > 5')
        scene.over.wait(40)


def killed(scene):
    scene.serve("killed").kill()
    scene.fires("SconceDown", "killed")
    scene.serve("killed")
    scene.calms("SconceDown", "killed")


def missing(scene):
    """The hub does not have the model that callers want."""
    hub = Hub()
    try:
        server = scene.serve("missing", {"HF_ENDPOINT": hub.url, "MODEL_ID": "acme/nano"})
        with scene.callers(server, 1, RECORDING.read_bytes(), 0.3):
            scene.fires("SconceModelFailed", "missing")
            scene.fires("SconceErrorRate", "missing")
            hub.put("acme/nano", EMBEDDED)
            assert server.ask("/download-models", b'{"wait":true}', {"Content-Type": "application/json"}).status == 200
            scene.calms("SconceModelFailed", "missing")
            scene.calms("SconceErrorRate", "missing")
    finally:
        hub.close()


def slow(scene):
    """A hub that sends next to nothing, and a caller who waits."""
    hub = Hub()
    hub.put("acme/nano", EMBEDDED)
    hub.rate = 10_000
    try:
        server = scene.serve("slow", {"HF_ENDPOINT": hub.url, "MODEL_ID": "acme/nano"})
        with scene.callers(server, 1, RECORDING.read_bytes(), 60):
            scene.fires("SconceModelStuck", "slow")
            hub.rate = None
            scene.fires("SconceSlowColdStart", "slow")
        scene.calms("SconceModelStuck", "slow")
        scene.calms("SconceSlowColdStart", "slow")
    finally:
        hub.close()


def crowded(scene):
    """More callers than a small replica has places."""
    settings = {"SCONCE_RUNTIME__QUEUE": "12", "SCONCE_RUNTIME__MAX_BATCH": "1", "SCONCE_RUNTIME__THREADS": "1"}
    server = scene.serve("crowded", settings)
    with scene.callers(server, 24, working(server, 0.3, scene.folder / "long.wav"), 0.25):
        scene.fires("SconceQueueGrows", "crowded")
        scene.fires("SconceRefusesRequests", "crowded")
    scene.calms("SconceQueueGrows", "crowded")
    scene.calms("SconceRefusesRequests", "crowded")


def leaking(scene):
    """A model leaves some of what came with it: tables that are made once. With this threshold that is a leak."""
    folder = scene.folder / "leaking"
    folder.mkdir()
    (folder / "sconce.toml").write_text(
        '[memory]\nleak_threshold = 1\n[models."sconce/whisper-nano.en"]\nwarm_up = false\n'
    )
    server = scene.serve("leaking")
    counter = 'sconce_model_leaked_bytes_total{job="sconce-leaking"}'

    def leaked():
        assert server.ask("/models/whisper-nano.en/load?wait=true", b"").status == 200
        scene.sees(counter)
        assert server.ask("/models/whisper-nano.en/unload", b"").status in (200, 202)
        return "memory stayed behind" in server.log.read_text()

    until(leaked, "a leak")
    scene.fires("SconceMemoryLeak", "leaking")


def panicking(scene):
    """A model with a bug meets the recording that shows it, once. The next request is served."""
    folder = scene.folder / "fragile"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "fragile"}')
    model = {"MODEL_ID": "fragile", "SCONCE_MODELS__FRAGILE__SOURCE": f"file:{folder}"}
    server = scene.serve("panicking", model | {"SCONCE_RETRY__FIRST_DELAY": "100ms"}, scene.fragile)
    assert server.ask("/predict", RECORDING.read_bytes(), WAV).status == 200
    silent = folder / "silence.wav"
    with wave.open(str(silent), "wb") as write:
        write.setparams((1, 2, 16000, 0, "NONE", ""))
        write.writeframes(bytes(32000))
    assert server.ask("/predict", silent.read_bytes(), WAV).status == 500
    scene.over.wait(1)
    assert server.ask("/predict", RECORDING.read_bytes(), WAV).status == 200
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    (panic,) = (line for line in lines if line["message"] == "panic")
    assert panic["thread"] == "model:fragile" and panic["location"].startswith("examples/fragile.rs:")
    scene.fires("SconceModelPanics", "panicking")
    scene.calms("SconceModelPanics", "panicking")


def full(scene):
    """Somebody else fills the disk that models are kept on."""
    disk = scene.folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a disk of its own needs the right to mount: {mounted.stderr.strip()}")
    try:
        scene.serve("full", {"HF_HUB_CACHE": str(disk / "hub")})
        scene.sees('sconce_cache_size_bytes{job="sconce-full"} < 70e6')
        filler = disk / "somebody-elses"
        filler.write_bytes(bytes(60 << 20))
        scene.fires("SconceDiskNearlyFull", "full")
        filler.unlink()
        scene.calms("SconceDiskNearlyFull", "full")
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


TROUBLES = [killed, missing, crowded, leaking, panicking, full, slow, healthy]

EXPECTED = {
    ("SconceDown", "killed"),
    ("SconceModelFailed", "missing"),
    ("SconceErrorRate", "missing"),
    ("SconceModelStuck", "slow"),
    ("SconceSlowColdStart", "slow"),
    ("SconceQueueGrows", "crowded"),
    ("SconceRefusesRequests", "crowded"),
    ("SconceMemoryLeak", "leaking"),
    ("SconceModelPanics", "panicking"),
    ("SconceDiskNearlyFull", "full"),
}


def named(alerts):
    """(alert, trouble) of each."""
    return {(alert.name, alert.label("job").removeprefix("sconce-")) for alert in alerts}


def working(server, seconds, path):
    """A recording that keeps this server busy for about so long, fast or slow as it is built: one, again and again."""
    assert server.ask("/predict", RECORDING.read_bytes(), WAV).status == 200, "it is loaded"
    since = time.monotonic()
    assert server.ask("/predict", RECORDING.read_bytes(), WAV).status == 200
    times = max(1, round(seconds / (time.monotonic() - since)))
    with wave.open(str(RECORDING)) as read, wave.open(str(path), "wb") as write:
        write.setparams(read.getparams())
        write.writeframes(read.readframes(read.getnframes()) * times)
    return path.read_bytes()


@pytest.fixture(scope="module")
def scene(program, fragile, tmp_path_factory):
    scene = Scene(program, fragile, tmp_path_factory.mktemp("scene"), [each.__name__ for each in TROUBLES])
    try:
        with ThreadPoolExecutor(len(TROUBLES)) as at_once:
            scene.told = {each: at_once.submit(each, scene) for each in TROUBLES}
            yield scene
            scene.over.set()
    finally:
        scene.close()


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_its_alerts_fire_and_are_over_with_their_cause(scene, trouble):
    scene.told[trouble].result()


def test_nothing_else_fires(scene):
    """In particular for the healthy server under load."""
    happened = {name.__name__ for name, told in scene.told.items() if told.exception() is None}
    assert named(scene.prometheus.fired()) == {(alert, name) for alert, name in EXPECTED if name in happened}


def test_every_alert_has_a_cause():
    groups = yaml.safe_load(RULES.read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    assert alerts == {alert for alert, _ in EXPECTED}
