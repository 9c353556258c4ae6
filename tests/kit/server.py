"""The built server as a process of its own, and questions to it."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

PATIENCE = 60
"""Seconds after which a test gives up."""


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


def ask(url, data=None, headers=None, timeout=PATIENCE, method=None):
    """The answer to a request, whatever its status. Raises OSError where there is none."""
    request = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return Answer(response.status, dict(response.headers), response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read())


def until(condition, what, seconds=PATIENCE, pause=0.05):
    """What the condition gives as soon as it is true. Connections that fail count as false."""
    end = time.monotonic() + seconds
    while True:
        try:
            if found := condition():
                return found
        except OSError:
            pass
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds} s: not {what}")
        time.sleep(pause)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """`sconce serve` on loopback, with nothing of this process's environment but PATH."""

    def __init__(self, program, folder, environment=None, port=None):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"server-{self.port}.log"
        variables = {
            "PATH": os.environ["PATH"],
            "SCONCE_SERVER__HOST": "127.0.0.1",
            "PORT": str(self.port),
            "HF_HUB_CACHE": str(folder / "cache"),
            "HF_ENDPOINT": "http://127.0.0.1:9",
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [program, "serve"], env=variables | (environment or {}), cwd=folder, stdout=log, stderr=log
            )

    def ask(self, path, data=None, headers=None, timeout=PATIENCE, method=None):
        return ask(self.url + path, data, headers, timeout, method)

    def opened(self):
        """Itself, once the port is open."""

        def open_or_ended():
            assert self.process.poll() is None, self.log.read_text()
            return self.ask("/health/live").status == 200

        until(open_or_ended, f"open: {self.log}")
        return self

    def stop(self, patience=PATIENCE):
        """Its exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
