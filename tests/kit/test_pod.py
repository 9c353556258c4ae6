"""The Pod that the chart renders, run by podman and probed as a kubelet would."""

import json
import subprocess
import uuid

import pytest
import yaml
from conftest import RECORDING, ROOT, tool
from images import BUILD_PATIENCE, Container, alone, environment, podman, run
from server import PATIENCE, ask, free_port, until

pytestmark = pytest.mark.timeout(BUILD_PATIENCE)

# Controllers that are listed in the folder of control groups but not mounted are more than podman can take there, and
# the folder cannot always be written: only what is mounted is shown to it.
OWN_CGROUPS = """
set -e
all=$(mktemp -d)
mount --rbind /sys/fs/cgroup "$all"
mount -t tmpfs cgroup /sys/fs/cgroup
for controller in "$all"/*; do
    mountpoint -q "$controller" || continue
    mkdir "/sys/fs/cgroup/${controller##*/}"
    mount --rbind "$controller" "/sys/fs/cgroup/${controller##*/}"
done
umount --lazy "$all"
exec "$@"
"""


NANO = {"defaultModel": "acme/nano", "models": {"acme/nano": {"source": "hf://acme/nano"}}}


class Pod(Container):
    """The Deployment of a release, as one Pod on this machine's network. It is probed by what its manifest says."""

    def __init__(self, folder, image, values):
        release = f"r{uuid.uuid4().hex[:8]}"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.manifest = folder / "manifest.yaml"
        self.release = release
        documents = rendered(folder, release, image, self.port, values)
        self.spec = next(each for each in documents if each["kind"] == "Deployment")["spec"]["template"]["spec"]
        self.container = self.spec["containers"][0]
        self.ports = {port["name"]: port["containerPort"] for port in self.container.pop("ports")}
        self.manifest.write_text(yaml.safe_dump_all(documents))
        play = ["podman", "kube", "play", "--network=host", self.manifest]
        run("unshare", "--mount", "sh", "-c", OWN_CGROUPS, "sh", *play)
        self.name = podman("ps", "--all", "--format={{.Names}}", f"--filter=name={release}.*-sconce$").stdout.strip()

    def passes(self, probe):
        """Whether one try of a probe succeeds: `startupProbe`, `readinessProbe` or `livenessProbe`."""
        wanted = self.container[probe]
        place = wanted["httpGet"]
        port = self.ports.get(place["port"], place["port"])
        try:
            answer = ask(f"http://127.0.0.1:{port}{place['path']}", timeout=wanted["timeoutSeconds"])
            return 200 <= answer.status < 400
        except OSError:
            return False

    def tried(self, probe):
        """Itself, once a probe succeeds that is tried once each period, as often as it may fail."""
        wanted = self.container[probe]
        patience = min(PATIENCE, wanted["failureThreshold"] * wanted["periodSeconds"])
        until(lambda: self.passes(probe), f"{probe}: {self.logs()}", patience, wanted["periodSeconds"])
        return self

    def ending(self):
        """Told to end, and to be killed when it takes longer than it says that it needs."""
        limit = f"--time={self.spec['terminationGracePeriodSeconds']}"
        return subprocess.Popen(["podman", "stop", limit, self.name], env=environment(), stdout=subprocess.DEVNULL)

    def remove(self):
        podman("kube", "down", self.manifest, check=False)
        podman("volume", "rm", "--force", f"{self.release}-sconce", check=False)


def rendered(folder, release, image, port, values):
    """What `helm template` makes: documents."""
    name, tag = image.rsplit(":", 1)
    values = values | {
        "image": {"repository": name, "tag": tag, "pullPolicy": "Never"},
        "service": {"containerPort": port},
        "config": {"server": {"host": "127.0.0.1"}, **values.get("config", {})},
    }
    path = folder / "values.json"
    path.write_text(json.dumps(values))
    said = subprocess.run(
        [tool("helm"), "template", release, ROOT / "charts/sconce", "--skip-tests", "--values", path],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [document for document in yaml.safe_load_all(said.stdout) if document]


@pytest.fixture
def play(image, tmp_path):
    pods = []

    def begin(values):
        pods.append(Pod(tmp_path, image, values))
        return pods[-1]

    tool("helm")
    with alone("pods"):
        yield begin
        for pod in pods:
            print(pod.logs())
            pod.remove()


def test_on_demand_the_pod_is_ready_at_once_and_ends_in_time(play, hub):
    pod = play({"loadMode": "on_demand", "config": {"store": {"endpoint": hub.url}}, **NANO})
    pod.tried("startupProbe")
    assert pod.passes("readinessProbe")
    assert pod.passes("livenessProbe")
    assert not hub.downloads
    assert "kitchen lights" in pod.transcribed()
    assert pod.status("Uid") == ["65532"] * 4
    assert pod.status("CapEff") == ["0000000000000000"]
    assert pod.status("NoNewPrivs") == ["1"]
    pod.ending().wait(PATIENCE)
    assert pod.state("ExitCode") == "0"


def test_at_startup_the_pod_is_ready_when_its_model_is(play, hub):
    hub.rate = 50_000
    pod = play({"loadMode": "startup", "config": {"store": {"endpoint": hub.url}}, **NANO})
    until(lambda: pod.ask("/health/live").status == 200, "open")
    assert not pod.passes("startupProbe")
    assert not pod.passes("readinessProbe")
    assert pod.passes("livenessProbe"), "it must not be started again while it fetches"
    hub.rate = None
    pod.tried("startupProbe")
    assert pod.passes("readinessProbe")
    assert "kitchen lights" in pod.transcribed()


def test_while_the_pod_ends_it_is_unready_and_still_serves(play):
    pod = play({"loadMode": "startup", "shutdown": {"graceSeconds": 10, "drainSeconds": 20}})
    pod.tried("startupProbe")
    assert pod.passes("readinessProbe")
    ending = pod.ending()
    until(lambda: not pod.passes("readinessProbe"), "unready")
    assert pod.ask("/predict", RECORDING.read_bytes(), {"Content-Type": "audio/wav"}).status == 200
    assert pod.passes("livenessProbe")
    ending.wait(PATIENCE)
    assert pod.state("ExitCode") == "0"
