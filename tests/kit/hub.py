"""A hub on loopback: repositories of files, served with sizes, checksums and ranges, and counted."""

import hashlib
import json
import re
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CHUNK = 1 << 16
LOOK = 256 << 10
"""Bytes that are asked for by who wants to know how large a model is before it fetches it."""


class Hub:
    """`repos` maps "org/name" to {file name: bytes}. Everything may be changed while it runs."""

    def __init__(self, host="127.0.0.1"):
        self.repos = {}
        self.token = None
        """Who may read; None: everybody."""
        self.status = None
        """What every request is answered with; None: as it should be."""
        self.rate = None
        """Bytes per second of each connection."""
        self.downloads = Counter()
        """Files that were sent from their first byte on, by "org/name/file", but for looks at how they begin."""
        self.sent = Counter()
        """Bytes of each file that were sent."""
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((host, 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self._server.server_address[1]

    @property
    def url(self):
        return f"http://{self._server.server_address[0]}:{self.port}"

    def put(self, repo, folder):
        """The files of a folder, as a repository."""
        self.repos[repo] = {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def _handler(hub):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                self.do_GET()

            def do_GET(self):
                if hub.status:
                    return self.say(hub.status, {"error": "told to fail"})
                if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
                    return self.say(401, {"error": "gated"}, {"X-Error-Code": "GatedRepo"})
                path = self.path.split("?")[0]
                if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/([^/]+)", path):
                    return self.about(*found.groups())
                if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                    return self.file(*found.groups())
                return self.say(404, {"error": "no such page"}, {"X-Error-Code": "EntryNotFound"})

            def about(self, repo, what, _revision):
                files = hub.repos.get(repo)
                if files is None:
                    return self.say(404, {"error": "no such repository"}, {"X-Error-Code": "RepoNotFound"})
                if what == "revision":
                    siblings = [{"rfilename": name} for name in files]
                    return self.say(200, {"id": repo, "sha": commit(files), "siblings": siblings})
                return self.say(200, [entry(name, data) for name, data in files.items()])

            def file(self, repo, _revision, name):
                files = hub.repos.get(repo, {})
                if name not in files:
                    return self.say(404, {"error": "no such file"}, {"X-Error-Code": "EntryNotFound"})
                data, key = files[name], f"{repo}/{name}"
                first, last, status = 0, len(data) - 1, 200
                if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
                    first, last, status = int(asked[1]), min(int(asked[2] or last), last), 206
                    if first > last:
                        return self.say(416, {"error": "no such range"})
                self.send_response(status)
                self.send_header("Content-Length", str(last + 1 - first))
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
                self.send_header("X-Repo-Commit", commit(files))
                self.send_header("X-Linked-Size", str(len(data)))
                self.send_header("X-Linked-Etag", f'"{hashlib.sha256(data).hexdigest()}"')
                if status == 206:
                    self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
                self.end_headers()
                if self.command == "HEAD":
                    return None
                with hub._lock:
                    hub.downloads[key] += first == 0 and not last + 1 == LOOK < len(data)
                return self.send(key, data[first : last + 1])

            def send(self, key, data):
                for at in range(0, len(data), CHUNK):
                    part = data[at : at + CHUNK]
                    try:
                        self.wfile.write(part)
                    except OSError:
                        self.close_connection = True
                        return
                    with hub._lock:
                        hub.sent[key] += len(part)
                    if hub.rate:
                        time.sleep(len(part) / hub.rate)

            def say(self, status, body, headers=None):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

        return Handler


def commit(files):
    """The name of this version of the files."""
    whole = hashlib.sha1()
    for name in sorted(files):
        whole.update(name.encode() + b"\0" + hashlib.sha256(files[name]).digest())
    return whole.hexdigest()


def entry(name, data):
    """As a tree lists it: large files with their sha256."""
    git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    found = {"type": "file", "path": name, "size": len(data), "oid": git}
    if name.endswith(".safetensors"):
        found["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return found
