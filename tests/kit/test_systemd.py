"""The systemd unit: what systemd itself says of it, and the server as the unit starts it.

No systemd runs here: a service manager of a few lines takes its place at the socket, with the unit's own numbers.
"""

import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from calls import repeated
from conftest import RECORDING, ROOT, tool
from effective import in_force, seconds
from server import PATIENCE, Server, until

FOLDER = ROOT / "deploy/systemd"
EXPOSURE = 2.0
"""What `systemd-analyze security` may give, of 10: 1 is a service that can do next to nothing."""
TIME_LAPSE = 300
"""How many times faster than in the unit the watchdog barks here."""


def settings(text):
    """The unit's values by name, each in the order in which it is given. An empty one takes back those before."""
    found = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found[name] = [*found.get(name, []), value] if value else []
    return found


def with_secrets(text):
    """With the lines about secrets that are there to be uncommented."""
    changed = re.sub(r"^#(?=\w+=)", "", text, flags=re.MULTILINE)
    assert changed != text
    return changed


def environment(service, folder):
    """The unit's, as systemd would give it, with its folders inside of `folder`."""
    places = {"%C": folder / "cache", "%S": folder / "state", "%d": folder / "secrets"}
    for place in places.values():
        place.mkdir(exist_ok=True)
        (place / "sconce").mkdir(exist_ok=True)
    pairs = (pair.split("=", 1) for pair in service["Environment"])
    return {name: re.sub("%.", lambda found: str(places[found[0]]), value) for name, value in pairs}


@pytest.fixture
def text():
    return (FOLDER / "sconce.service").read_text()


@pytest.fixture
def service(text):
    return settings(text)


@pytest.fixture
def analyze(program, tmp_path):
    """What `systemd-analyze` says of a text of the unit, whose program is where it should be."""
    analyzer = tool("systemd-analyze")

    def run(text, *command, drop_in=None):
        unit = tmp_path / "sconce.service"
        unit.write_text(text.replace("/usr/local/bin/sconce", str(program)))
        if drop_in:
            (tmp_path / "sconce.service.d").mkdir()
            shutil.copy(drop_in, tmp_path / "sconce.service.d")
        answer = subprocess.run([analyzer, *command, unit], capture_output=True, text=True, timeout=PATIENCE)
        return answer.returncode, answer.stdout + answer.stderr

    return run


@pytest.mark.parametrize("drop_in", [None, FOLDER / "gpu.conf"])
@pytest.mark.parametrize("change", [lambda text: text, with_secrets])
def test_systemd_has_nothing_to_say_against_the_unit(analyze, text, change, drop_in):
    assert analyze(change(text), "verify", "--man=no", drop_in=drop_in) == (0, "")


def test_systemd_would_say_what_is_wrong_with_a_unit(analyze, text):
    wrong = text.replace("WatchdogSec=60s", "WatchdogSec=often").replace("UMask=", "Umaks=")
    _, said = analyze(wrong, "verify", "--man=no")
    assert "often" in said and "Umaks" in said, said


def test_the_service_is_exposed_as_little_as_a_server_can_be(analyze, text):
    code, said = analyze(text, "security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}")
    print(said.splitlines()[-1])
    assert code == 0, said


def test_the_program_accepts_what_the_unit_sets_and_fits_into_its_bounds(program, text, tmp_path):
    service = settings(with_secrets(text))
    variables = environment(service, tmp_path) | environment(settings((FOLDER / "gpu.conf").read_text()), tmp_path)
    (tmp_path / "secrets/hub-token").write_text("hf_one")
    (tmp_path / "secrets/keys").write_text("one-key\n")
    effective = in_force(program, variables)
    assert effective["store.cache_dir"] == f"{tmp_path}/cache/sconce/hub"
    assert effective["access.file"] == f"{tmp_path}/secrets/keys"
    assert effective["store.token"] == "***"
    stopping = seconds(effective["server.grace"]) + seconds(effective["server.drain"])
    assert seconds(service["TimeoutStopSec"][0]) > stopping
    assert int(service["LimitNOFILE"][0]) > int(effective["server.max_connections"])


class Manager:
    """The socket that a service tells how it is, and everything that was said: pairs of a time and a line."""

    def __init__(self, path):
        self.path = path
        self.said = []
        self._new = threading.Condition()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        while message := self._socket.recv(4096).decode():
            with self._new:
                self.said += [(time.monotonic(), line) for line in message.splitlines()]
                self._new.notify_all()

    def times(self, line, since=0.0):
        return [at for at, said in self.said if said == line and at >= since]

    def hears(self, line, since=0.0, count=1):
        """Waits until this was said so often since then."""
        with self._new:
            heard = self._new.wait_for(lambda: len(self.times(line, since)) >= count, PATIENCE)
            assert heard, f"no {line} in {self.said}"

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


@pytest.fixture
def manager(tmp_path):
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


@pytest.fixture
def start(serve, service, manager, tmp_path):
    """Starts the server as the unit does, with its watchdog in time-lapse; gives the server and the watchdog's time."""

    def start(more=None):
        assert service["Type"] == ["notify"]
        watchdog = seconds(service["WatchdogSec"][0]) / TIME_LAPSE
        told = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": str(int(watchdog * 1e6))}
        return serve(environment(service, tmp_path) | told | (more or {})), watchdog

    return start


def send(server, name):
    server.process.send_signal(getattr(signal, name))


def test_it_runs_reloads_and_ends_as_the_unit_says(start, service, manager, tmp_path):
    (tmp_path / "sconce.toml").write_text('[log]\nlevel = "info"\n')
    server, _ = start()
    manager.hears("READY=1")
    manager.hears("WATCHDOG=1")
    assert (tmp_path / "state/sconce/jobs").is_dir()

    (tmp_path / "sconce.toml").write_text('[log]\nlevel = "debug"\n')
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    send(server, "SIGHUP")
    applied = b'sconce_config_reloads_total{outcome="applied"} 1'
    until(lambda: applied in server.ask("/metrics").body, "reloaded")

    assert not manager.times("STOPPING=1")
    send(server, service["KillSignal"][0])
    manager.hears("STOPPING=1")
    assert server.process.wait(seconds(service["TimeoutStopSec"][0])) == 0


def test_the_watchdog_hears_nothing_of_a_server_whose_model_hangs(start, manager):
    # Every step of a model takes longer than this, so that each looks like a hang.
    server, watchdog = start({"SCONCE_HTTP__STALL_TIMEOUT": "1ms"})
    manager.hears("READY=1")
    assert server.ask("/predict", RECORDING.read_bytes(), {"Content-Type": "audio/wav"}).status == 200
    manager.hears("WATCHDOG=1", since=time.monotonic(), count=2)

    work = subprocess.Popen(
        [tool("curl"), "-s", f"{server.url}/predict", "-H", "Content-Type: audio/wav", "--data-binary", "@-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    with work:
        work.stdin.write(repeated(RECORDING, 200))
        work.stdin.close()
        barks = lambda: time.monotonic() - manager.times("WATCHDOG=1")[-1] > watchdog
        until(barks, "silent for so long that systemd would act")
        assert work.poll() is None and "a model hangs" in server.log.read_text()
        work.kill()
    # Nobody wants the answer any more, so the model is free again, and the server lives.
    manager.hears("WATCHDOG=1", since=time.monotonic(), count=2)


def calls_of(sets):
    """The system calls in these sets, as systemd-analyze lists them."""
    command = [tool("systemd-analyze"), "syscall-filter", "--no-pager"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    members = {}
    for line in listing.stdout.splitlines():
        if re.match(r"@\S+$", line):
            members[line] = current = set()
        elif re.match(r"    [@\w-]+$", line):
            current.add(line.strip())

    def all_of(name):
        return set().union(*map(all_of, members[name])) if name.startswith("@") else {name}

    return set().union(*map(all_of, sets))


@pytest.fixture
def traced(program, tmp_path):
    """Starts a server whose system calls are written down: traced(environment) gives it and the file."""
    trace, wrapped, servers = tmp_path / "trace", tmp_path / "sconce", []
    # -D: the server is this process's child, and the tracer is not in between.
    wrapped.write_text(f'#!/bin/sh\nexec {tool("strace")} -D -f -qq -s 200 -o {trace} {program} "$@"\n')
    wrapped.chmod(0o755)

    def start(environment):
        servers.append(Server(wrapped, tmp_path, environment))
        return servers[-1].opened(), trace

    yield start
    for server in servers:
        server.kill()


def test_the_hardening_takes_nothing_away_that_the_server_needs(service, traced, hub, tmp_path):
    # ffmpeg is a program of its own: a library of it asks for memory of a node, is refused, and goes on.
    variables = environment(service, tmp_path) | {"SCONCE_AUDIO__FFMPEG": "off"}
    variables |= {"HF_ENDPOINT": hub.url, "MODEL_ID": "acme/nano"}
    server, trace = traced(variables)
    answer = server.ask("/predict", RECORDING.read_bytes(), {"Content-Type": "audio/wav"})
    assert "kitchen" in answer.json()["text"].lower(), answer
    job = server.ask("/v1/jobs", RECORDING.read_bytes(), {"Content-Type": "audio/wav"}).json()
    until(lambda: server.ask(f"/v1/jobs/{job['id']}").json()["status"] == "succeeded", "a job that is done")
    send(server, "SIGHUP")
    assert server.stop() == 0
    lines = trace.read_text().splitlines()

    allowed, *denied = service["SystemCallFilter"]
    allowed = calls_of(allowed.split()) - calls_of(denied[0].removeprefix("~").split())
    made = {found[1] for line in lines if (found := re.match(r"\d+ +(\w+)\(", line))}
    assert {"openat", "listen", "accept4"} <= made
    assert made - allowed == set()

    families = {found[1] for line in lines if (found := re.search(r" socket\((AF_\w+)", line))}
    assert families <= set(service["RestrictAddressFamilies"][0].split())

    assert service["MemoryDenyWriteExecute"] == ["yes"]
    executable = r" mmap\(.*PROT_WRITE\|PROT_EXEC| (pkey_)?mprotect\(.*PROT_EXEC"
    assert not [line for line in lines if re.search(executable, line)]

    opened = r' openat\(\S+, "([^"]+)", [^)]*O_(?:WRONLY|RDWR|CREAT)'
    written = {found[1] for line in lines if (found := re.search(opened, line))}
    allowed = (f"{tmp_path}/cache/sconce/", f"{tmp_path}/state/sconce/", "/dev/")
    assert written and all(path.startswith(allowed) for path in written), written
