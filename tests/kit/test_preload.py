"""deploy/preload.sh against the real server, which fetches from a hub on loopback."""

import os
import subprocess
import threading
import time

import pytest
from conftest import EMBEDDED, ROOT, tool
from server import free_port, until

PRELOAD = ROOT / "deploy/preload.sh"
MEGABYTE = 1 << 20


@pytest.fixture
def preload():
    """Runs the script: preload(server's address, *arguments)."""
    for name in ("bash", "curl", "jq"):
        tool(name)

    def run(url, *arguments, **environment):
        variables = {"PATH": os.environ["PATH"]} | environment
        words = [PRELOAD, "--url", url, *arguments]
        return subprocess.run(words, env=variables, capture_output=True, text=True, timeout=90)

    return run


def status(server, model="acme/nano"):
    return server.ask("/models/status").json()["models"][model]["status"]


def test_the_default_model_is_ready_afterwards(serve, hub, preload):
    server = serve({"HF_ENDPOINT": hub.url, "MODEL_ID": "acme/nano"})
    assert status(server) == "not_loaded"
    ran = preload(server.url)
    assert (ran.returncode, ran.stdout) == (0, "ready: acme/nano\n"), ran.stderr
    assert status(server) == "ready"
    assert preload(server.url).returncode == 0
    assert hub.downloads["acme/nano/model.safetensors"] == 1


def test_models_that_are_named_are_brought_in(serve, hub, preload):
    hub.put("acme/second", EMBEDDED)
    server = serve({"HF_ENDPOINT": hub.url, "MODEL_ID": "acme/nano,acme/second"})
    ran = preload(server.url, "--fetch-only", "acme/second")
    assert (ran.returncode, ran.stdout) == (0, "downloaded: acme/second\n"), ran.stderr
    assert [status(server, name) for name in ("acme/nano", "acme/second")] == ["not_loaded"] * 2
    assert not any(name.startswith("acme/nano") for name in hub.downloads)


def test_the_progress_is_followed(serve, hub, preload):
    hub.rate = MEGABYTE / 4
    server = serve({"HF_ENDPOINT": hub.url, "MODEL_ID": "acme/nano", "SCONCE_STORE__CONNECTIONS": "1"})
    running = threading.Timer(7, lambda: setattr(hub, "rate", None))
    running.start()
    ran = preload(server.url)
    assert ran.returncode == 0, ran.stderr
    assert "acme/nano: downloading " in ran.stderr and " % of " in ran.stderr


def test_a_model_that_cannot_be_had_is_a_failure_with_its_reason(serve, hub, preload):
    server = serve({"HF_ENDPOINT": hub.url, "MODEL_ID": "acme/missing"})
    ran = preload(server.url)
    assert ran.returncode == 1 and "acme/missing" in ran.stderr, ran.stderr
    hub.put("acme/missing", EMBEDDED)
    assert preload(server.url).returncode == 0, "it can be tried again"


def test_the_time_may_be_over_while_it_is_on_its_way(serve, hub, preload):
    hub.rate = MEGABYTE / 16
    server = serve({"HF_ENDPOINT": hub.url, "MODEL_ID": "acme/nano"})
    begun = time.monotonic()
    ran = preload(server.url, "--timeout", "2")
    assert ran.returncode == 3 and "still on the way" in ran.stderr, ran.stderr
    assert time.monotonic() - begun < 60
    assert status(server) == "downloading"


def test_a_key_of_an_administrator_is_needed_where_there_are_keys(serve, preload):
    server = serve({"SCONCE_ACCESS__KEYS": "sk-user", "SCONCE_ACCESS__ADMIN_KEYS": "sk-admin"})
    assert preload(server.url).returncode == 4
    ran = preload(server.url, "--key", "sk-user")
    assert ran.returncode == 4 and "HTTP 403" in ran.stderr, ran.stderr
    assert preload(server.url, "--key", "sk-admin").returncode == 0
    assert preload(server.url, SCONCE_KEY="sk-admin").returncode == 0


def test_a_name_that_nobody_knows_is_refused(serve, preload):
    ran = preload(serve().url, 'no "such" model')
    assert ran.returncode == 4 and "there is no model" in ran.stderr and "HTTP 404" in ran.stderr, ran.stderr


def test_a_server_that_is_not_there_is_said(preload):
    ran = preload(f"http://127.0.0.1:{free_port()}")
    assert ran.returncode == 4 and "no answer from http://127.0.0.1" in ran.stderr


def test_a_server_that_goes_meanwhile_is_said(serve, hub, preload):
    hub.rate = MEGABYTE / 16
    server = serve({"HF_ENDPOINT": hub.url, "MODEL_ID": "acme/nano"})
    ended = threading.Thread(target=lambda: (until(lambda: status(server) == "downloading", "downloading"), server.kill()))
    ended.start()
    ran = preload(server.url)
    ended.join()
    assert ran.returncode == 4 and "no answer" in ran.stderr, ran.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--now"], "--now is no option"),
        (["--key"], "--key needs a value"),
        (["--timeout", "1h"], "a number of seconds"),
        (["--url", "localhost:8080"], "http://HOST:PORT would be right"),
    ],
)
def test_wrong_usage_is_explained(preload, arguments, said):
    ran = preload("http://127.0.0.1:9", *arguments)
    assert ran.returncode == 2 and said in ran.stderr, ran.stderr
