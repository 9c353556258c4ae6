"""What the tests of the deployment kit share.

They drive real tools. One that this machine lacks is said by name, and its tests are counted as skipped; `.ci/run`
installs all that can be installed.
"""

import os
import shutil
from pathlib import Path

import pytest
from hub import Hub
from server import Server

pytest_plugins = ["images"]

ROOT = Path(__file__).parents[2]
EMBEDDED = ROOT / "assets/models/whisper-nano.en"
RECORDING = ROOT / "assets/recordings/turn-on-the-kitchen-lights.wav"


def tool(name):
    """The path of a program, or a skipped test."""
    return shutil.which(name) or pytest.skip(f"{name} is missing")


@pytest.fixture(scope="session")
def program():
    """The built server; `make test` names it."""
    path = Path(os.environ.get("SCONCE_PROGRAM", ROOT / "target/debug/sconce"))
    assert path.is_file(), f"{path} is missing: cargo build, or name another in SCONCE_PROGRAM"
    return path.resolve()


@pytest.fixture(scope="session")
def fragile(program):
    """The server whose model has a bug, examples/fragile.rs; it is built with the tests."""
    path = program.parent / "examples/fragile"
    assert path.is_file(), f"{path} is missing: cargo build --examples"
    return path


@pytest.fixture(scope="session")
def tone(program):
    """The server that has models which speak and convert in tones, examples/tone; it is built with the tests."""
    path = program.parent / "examples/tone"
    assert path.is_file(), f"{path} is missing: cargo build --examples"
    return path


@pytest.fixture
def hub():
    """A hub with one repository, acme/nano: the embedded model's files."""
    hub = Hub()
    hub.put("acme/nano", EMBEDDED)
    yield hub
    hub.close()


@pytest.fixture
def serve(program, tmp_path):
    """Starts servers that end with the test: serve(environment, port=None, folder=None, other=None); `other` is a program
    in the place of the usual one."""
    servers = []

    def start(environment=None, port=None, folder=None, other=None):
        servers.append(Server(other or program, folder or tmp_path, environment, port))
        return servers[-1].opened()

    yield start
    for server in servers:
        server.kill()
