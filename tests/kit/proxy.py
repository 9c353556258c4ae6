"""The reverse proxies, as processes on loopback: the files of deploy/proxy, with other addresses."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT, tool
from server import ask, free_port, until

FOLDER = ROOT / "deploy/proxy"

NGINX = """
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
{user}
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    log_format tried '$msec\t$request_time\t$http_x_request_id\t$upstream_addr\t$upstream_connect_time';
    access_log {folder}/access.log tried;
    include {folder}/sconce.conf;
}}
"""
"""What stands around /etc/nginx/conf.d/sconce.conf."""

CADDY = """
{{
	admin off
	storage file_system {folder}/data
}}
import {folder}/Sconce
"""


@dataclass
class Tried:
    """How nginx came to an answer."""

    end: float
    """Seconds since 1970."""
    seconds: float
    addresses: list
    """The replicas that it was given to, in order."""
    connects: list
    """How long each took to connect, as text; a dash where it did not."""

    @property
    def begin(self):
        return self.end - self.seconds

    @property
    def holders(self):
        """The replicas that took it."""
        return [address for address, connect in zip(self.addresses, self.connects) if connect != "-"]


def split(line):
    """Between groups of replicas nginx writes colons, in place of commas."""
    return line.replace(" : ", ", ").split("\t")


class Proxy:
    """One of them before replicas on three ports of 127.0.0.1."""

    def __init__(self, folder, ports):
        self.folder = Path(folder) / type(self).__name__.lower()
        self.folder.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = self.folder / "output.log"
        self.configure(ports)
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(self.command(), stdout=output, stderr=output, env=self.environment())
        try:
            until(self._open, f"open: {self.output}")
        except BaseException:
            self.close()
            raise

    def close(self):
        self.process.terminate()
        self.process.wait()

    def environment(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder)}

    def addressed(self, ports, changes):
        """The shipped file with other addresses; those that are changed must be in it."""
        text = (FOLDER / self.FILE).read_text()
        for old, new in changes.items():
            assert old in text, f"{old} is not in {self.FILE}"
            text = text.replace(old, new)
        return re.sub(r"127\.0\.0\.1:808([123])", lambda found: f"127.0.0.1:{ports[int(found[1]) - 1]}", text)

    def _open(self):
        assert self.process.poll() is None, self.output.read_text()
        return ask(f"{self.url}/no-such-page").status


class Nginx(Proxy):
    FILE = "sconce.nginx.conf"

    def configure(self, ports):
        site = self.addressed(ports, {"listen 8080;": f"listen 127.0.0.1:{self.port};"})
        # Started as root it would work as somebody who may not enter the tests' folders.
        user = "user root;" if os.geteuid() == 0 else ""
        (self.folder / "sconce.conf").write_text(site)
        (self.folder / "nginx.conf").write_text(NGINX.format(folder=self.folder, user=user))

    def command(self):
        return [tool("nginx"), "-p", self.folder, "-e", f"{self.folder}/error.log", "-c", f"{self.folder}/nginx.conf"]

    def tried(self):
        """What became of each request, by its X-Request-Id."""
        lines = (self.folder / "access.log").read_text().splitlines()
        return {name: Tried(float(end), float(took), addresses.split(", "), connects.split(", "))
                for end, took, name, addresses, connects in map(split, lines)}


class Caddy(Proxy):
    FILE = "Caddyfile"

    def configure(self, ports):
        # All of loopback is private: here only one address of it is, so that there are others.
        changes = {"speech.example.com {": f"{self.url} {{", "private_ranges": "127.0.0.1/32"}
        (self.folder / "Sconce").write_text(self.addressed(ports, changes))
        (self.folder / "Caddyfile").write_text(CADDY.format(folder=self.folder))

    def command(self):
        return [tool("caddy"), "run", "--adapter", "caddyfile", "--config", f"{self.folder}/Caddyfile"]
