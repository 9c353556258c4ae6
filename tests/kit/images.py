"""The image, built from the shipped Dockerfile in a store of containers of our own, and containers that run it.

No registry is asked. The bases are made from Debian's packages and this machine's Rust, under the names that the
Dockerfile knows them by, so that the Dockerfile is built as it is. All of it stays in the cache folder: what has not
changed is not built again, also not for the next clone.
"""

import contextlib
import fcntl
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest
from conftest import RECORDING, ROOT, tool
from server import PATIENCE, ask, free_port, until

STORE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sconce/containers"
BUILD_PATIENCE = 3000
PATIENCE_OF = {"cpu": BUILD_PATIENCE, "cuda": 3 * BUILD_PATIENCE}
"""Seconds for the program of an accelerator."""
USER = "65532:65532"
TMP = "/tmp:rw,size=512m,mode=1777"
"""Room for a model and for what a download leaves free, `store.reserve`."""

CONTAINERS_CONF = """\
[containers]
# The defaults are above the hard limits of small machines.
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[network]
network_backend = "netavark"
[engine]
# crun refuses machines that have both kinds of control groups.
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""

STORAGE_CONF = f"""\
[storage]
driver = "overlay"
graphroot = "{STORE}/graph"
runroot = "{STORE}/run"
"""

RUST_BASE = """\
FROM {debian}
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates g++ gcc libc6-dev make pkg-config \\
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:$PATH \\
    CARGO_HTTP_CAINFO=/usr/local/host-ca.crt
RUN mkdir -p /usr/local/cargo/bin \\
    && for name in cargo rustc rustdoc; do ln -s /usr/local/rustup/host/bin/$name /usr/local/cargo/bin/$name; done
"""

# What the official slim image leaves out.
NEEDLESS = ["usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man", "usr/share/lintian"]
NEEDLESS += ["var/cache/apt", "var/lib/apt/lists", "var/log", "var/cache/debconf"]

# How pip asks for packages, which differs from one machine to the next.
PIP_SETTINGS = {"index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout", "retries"}

# === Tools ===


@functools.cache
def environment():
    """What makes podman and buildah work in our store; tests without them are skipped."""
    for name in ["podman", "buildah", "runc", "debootstrap", "rustc"]:
        tool(name)
    if os.geteuid():
        pytest.skip("containers are tested as root")
    for folder in ["tmp", "registry"]:
        (STORE / folder).mkdir(parents=True, exist_ok=True)
    (STORE / "containers.conf").write_text(CONTAINERS_CONF)
    (STORE / "storage.conf").write_text(STORAGE_CONF)
    ours = {"CONTAINERS_CONF": "containers.conf", "CONTAINERS_STORAGE_CONF": "storage.conf", "TMPDIR": "tmp"}
    return os.environ | {name: str(STORE / path) for name, path in ours.items()}


def run(*command, check=True, timeout=PATIENCE, **options):
    """Its finished process, with output as text. One that fails is an error that shows what it said."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment()} | options
    done = subprocess.run([str(part) for part in command], timeout=timeout, **options)
    return checked(done) if check else done


def checked(done):
    if done.returncode:
        raise AssertionError(f"{' '.join(done.args)}: {done.returncode}\n{done.stdout}\n{done.stderr}"[-6000:])
    return done


def podman(*arguments, **options):
    return run("podman", *arguments, **options)


@contextlib.contextmanager
def alone(what):
    """One at a time, of all processes of this machine."""
    environment()
    with (STORE / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# === Bases ===


def base(argument):
    """The name that the Dockerfile gives to a base."""
    return re.search(rf"^ARG {argument}=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[1]


def make_debian(name):
    """Debian without what its own slim image leaves out."""
    with tempfile.TemporaryDirectory(dir=STORE / "tmp") as folder:
        os.chmod(folder, 0o755)
        run("debootstrap", "--variant=minbase", "bookworm", folder, timeout=BUILD_PATIENCE)
        for needless in NEEDLESS:
            shutil.rmtree(Path(folder, needless), ignore_errors=True)
            Path(folder, needless).mkdir()
        archive = subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE)
        podman("import", "--quiet", "-", name, stdin=archive.stdout, timeout=BUILD_PATIENCE)
        assert archive.wait() == 0


def make_rust(name):
    """A compiler's surroundings; the compiler is this machine's, mounted when it is used."""
    text = RUST_BASE.format(debian=base("RUNTIME_IMAGE"))
    build("-t", name, "-f", "-", STORE / "tmp", input=text)


MAKERS = {"RUNTIME_IMAGE": make_debian, "RUST_IMAGE": make_rust}


def bases():
    for argument, make in MAKERS.items():
        if podman("image", "exists", base(argument), check=False).returncode:
            make(base(argument))


# === The image ===


def build(*arguments, timeout=BUILD_PATIENCE, **options):
    chroot = ["--isolation", "chroot", "--pull-never", "--format", "docker", "--layers"]
    command = ["buildah", "build", *chroot, *arguments]
    done = run(*command, check=False, timeout=timeout, **options)
    # buildah starts itself from a copy in memory, and now and then the kernel is not done with it in time.
    if done.returncode and "sealing memfd copy" in done.stderr:
        done = run(*command, check=False, timeout=timeout, **options)
    return checked(done)


def build_ours(tag, *arguments, accelerator="cpu"):
    """An image from the shipped Dockerfile. Arguments are those of `buildah build`."""
    with alone("images"):
        keep_stages(accelerator)
        build(*of_this_machine(accelerator), "-t", tag, *arguments, ROOT)
        # buildah 1.28 leaves the container of the last stage mounted.
        run("buildah", "rm", "--all")
        podman("image", "prune", "--force")
    return tag


@functools.cache
def keep_stages(accelerator):
    """Names the stages that cost time, so that what is older than them can be removed."""
    bases()
    for stage in ["build", "models"]:
        tag = stage_of(stage, accelerator)
        build(*of_this_machine(accelerator), "--target", stage, "-t", tag, ROOT, timeout=PATIENCE_OF[accelerator])


def stage_of(stage, accelerator):
    """The name that a kept stage has in the store."""
    return f"localhost/sconce:{stage}" + ("" if accelerator == "cpu" else f"-{accelerator}")


@functools.cache
def of_this_machine(accelerator):
    """What the build takes from it: the compiler, certificates, how pip asks for packages, and packages that were fetched
    before. ACCELERATOR, ESPEAK_NG and FFMPEG are said because buildah 1.28 does not look at their defaults in time; PROFILE
    because link-time optimisation of the whole program takes longer than all other tests. The release itself is built with
    it."""
    sysroot = run("rustc", "--print", "sysroot").stdout.strip()
    mounts = {
        sysroot: "/usr/local/rustup/host:ro",
        "/etc/ssl/certs/ca-certificates.crt": "/usr/local/host-ca.crt:ro",
        pip_configuration(): "/etc/pip.conf:ro",
        STORE / "registry": "/usr/local/cargo/registry",
    }
    volumes = [part for here, there in mounts.items() for part in ["-v", f"{here}:{there}"]]
    said = [f"ACCELERATOR={accelerator}", "ESPEAK_NG=no", "FFMPEG=without", "PROFILE=release"]
    return [*(part for one in said for part in ["--build-arg", one]), *volumes]


def inspected(image):
    return json.loads(podman("image", "inspect", image).stdout)[0]


def pip_configuration():
    """A file that has pip ask as on this machine, with its certificates where the build finds them."""
    listed = run(sys.executable, "-m", "pip", "config", "list").stdout
    said = dict(re.findall(r"^\S+\.([\w-]+)='(.*)'$", listed, re.MULTILINE))
    settings = {name: said[name] for name in PIP_SETTINGS & said.keys()} | {"cert": "/usr/local/host-ca.crt"}
    path = STORE / "pip.conf"
    path.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
    return path


@pytest.fixture(scope="session")
def image():
    """As `docker build .` makes it, but for the time that its optimisation takes."""
    return build_ours("localhost/sconce:test")


# === Containers ===


class Container:
    """An image that runs as a cluster would run it: nothing can be written but /tmp and what is mounted, and it has no
    right that can be taken away. With `tmpfs=None` nothing at all can be written."""

    def __init__(self, image, environment=None, arguments=(), command=(), tmpfs=TMP, port_name="PORT"):
        self.name = f"sconce-{uuid.uuid4().hex[:12]}"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        locked = ["--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
        bounds = ["--memory=1g", "--pids-limit=256", *(["--tmpfs", tmpfs] if tmpfs else [])]
        variables = {"SCONCE_SERVER__HOST": "127.0.0.1", port_name: str(self.port), "HF_ENDPOINT": "http://127.0.0.1:9"}
        variables |= environment or {}
        given = [part for name, value in variables.items() for part in ["--env", f"{name}={value}"]]
        network = [] if any("--network" in argument for argument in arguments) else ["--network=host"]
        podman("run", "--detach", "--pull=never", "--name", self.name, *network, *locked, *bounds, *given, *arguments,
               image, *command)  # fmt: skip

    def ask(self, path, data=None, headers=None, timeout=PATIENCE):
        return ask(self.url + path, data, headers, timeout)

    def opened(self):
        """Itself, once the port is open."""

        def open_or_ended():
            assert self.state("Running") == "true", self.logs()
            return self.ask("/health/live").status == 200

        until(open_or_ended, f"open: {self.name}", pause=0.2)
        return self

    def transcribed(self, path="/predict?wait=60"):
        """The text of a recording."""
        answer = self.ask(path, RECORDING.read_bytes(), {"Content-Type": "audio/wav"})
        assert answer.status == 200, (answer, self.logs())
        return answer.json()["text"].lower()

    def state(self, field):
        return podman("inspect", self.name, "--format", f"{{{{.State.{field}}}}}").stdout.strip()

    @property
    def pid(self):
        """Of its first process, as this machine counts."""
        return int(self.state("Pid"))

    def status(self, field):
        """A line of /proc/PID/status."""
        return re.search(rf"^{field}:\s*(.*)$", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)[1].split()

    def healthy(self):
        """What HEALTHCHECK says now."""
        return podman("healthcheck", "run", self.name, check=False).returncode == 0

    def logs(self):
        done = podman("logs", self.name)
        return done.stdout + done.stderr

    def terminate(self):
        podman("kill", "--signal=TERM", self.name)

    def ended(self):
        """Its exit code, once it has one."""
        until(lambda: self.state("Running") == "false", f"ended: {self.name}", pause=0.2)
        return int(self.state("ExitCode"))

    def remove(self):
        podman("rm", "--force", "--time=0", self.name)


@pytest.fixture
def start():
    """Starts containers that end with the test."""
    containers = []

    def begin(*arguments, **options):
        containers.append(Container(*arguments, **options))
        return containers[-1]

    yield begin
    for container in containers:
        print(container.logs())
        container.remove()


@pytest.fixture
def volume(tmp_path):
    """A folder of this machine that belongs to the image's user, and the argument that mounts it as the cache."""
    folder = tmp_path / "volume"
    folder.mkdir()
    os.chown(folder, *map(int, USER.split(":")))
    return f"--volume={folder}:/var/cache/sconce"
