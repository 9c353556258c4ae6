"""A bucket on loopback, as Google Cloud Storage shows it to readers of its XML interface."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit


class Bucket:
    """`objects` maps "bucket/key" to bytes."""

    def __init__(self, host="127.0.0.1"):
        self.objects = {}
        self._server = ThreadingHTTPServer((host, 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def host(self):
        return "{}:{}".format(*self._server.server_address)

    def put(self, prefix, folder):
        """The files of a folder below a prefix."""
        self.objects |= {f"{prefix}/{path.name}": path.read_bytes() for path in Path(folder).iterdir()}

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def listing(self, bucket, prefix):
        keys = [key for key in self.objects if key.startswith(f"{bucket}/{prefix}")]
        return "<ListBucketResult>{}</ListBucketResult>".format("".join(map(self.entry, keys))).encode()

    def entry(self, key):
        data = self.objects[key]
        return (
            f"<Contents><Key>{key.split('/', 1)[1]}</Key><Size>{len(data)}</Size><ETag>{tag(data)}</ETag>"
            "<LastModified>2026-11-20T20:00:00.000Z</LastModified></Contents>"
        )

    def _handler(bucket):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                self.do_GET()

            def do_GET(self):
                address = urlsplit(self.path)
                key, query = unquote(address.path).strip("/"), parse_qs(address.query)
                if "list-type" in query:
                    return self.say(200, bucket.listing(key, query.get("prefix", [""])[0]))
                data = bucket.objects.get(key)
                if data is None:
                    return self.say(404)
                headers = {"ETag": tag(data), "Last-Modified": "Fri, 20 Nov 2026 20:00:00 GMT"}
                if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
                    first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
                    headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
                    return self.say(206, data[first : last + 1], headers)
                return self.say(200, data, headers)

            def say(self, status, data=b"", headers=None):
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(data))} | (headers or {})).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

        return Handler


def tag(data):
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'
