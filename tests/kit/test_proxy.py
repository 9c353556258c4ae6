"""The reverse proxy examples: each in front of the real server, and in front of replicas that misbehave."""

import re
import subprocess
import threading
import time
from collections import Counter
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from calls import infer, openai, predict, repeated
from conftest import RECORDING, tool
from effective import in_force, seconds
from proxy import FOLDER, Caddy, Nginx
from server import PATIENCE, Server, ask, free_port

MB = 1_000_000
MODEL = "whisper-nano.en"


@pytest.fixture(scope="module")
def server(program, tmp_path_factory):
    """With every setting at its default, and the model that is inside."""
    server = Server(program, tmp_path_factory.mktemp("server"))
    yield server.opened()
    server.kill()


@pytest.fixture
def proxied(tmp_path):
    """Starts proxies that end with the test: proxied(Nginx, ports)."""
    proxies = []

    def start(kind, ports):
        proxies.append(kind(tmp_path, ports))
        return proxies[-1]

    yield start
    for proxy in proxies:
        proxy.close()


@pytest.fixture(params=[Nginx, Caddy])
def kind(request):
    return request.param


@pytest.fixture
def proxy(proxied, kind, server):
    return proxied(kind, [server.port] * 3)


@pytest.fixture
def limits(program):
    """The server's defaults."""
    return in_force(program, {})


def transcribed(proxy, call):
    answer = ask(proxy.url + call.path, call.body, call.headers)
    assert answer.status == 200, answer
    return call.text(answer.body).lower()


def test_every_protocol_passes(proxy):
    recording = RECORDING.read_bytes()
    calls = [openai(recording, MODEL), openai(recording, MODEL, stream=True), predict(recording), infer(recording, MODEL)]
    for call in calls:
        assert "kitchen lights" in transcribed(proxy, call), call.path


def test_a_stream_arrives_while_the_server_is_still_at_work(proxy, server):
    call = openai(repeated(RECORDING, 24), MODEL, stream=True)
    before = finished(server)
    connection = HTTPConnection("127.0.0.1", proxy.port, timeout=PATIENCE)
    connection.request("POST", call.path, call.body, call.headers)
    response = connection.getresponse()
    first = response.readline()
    assert first.startswith(b"data: ") and finished(server) == before, "it was held back until it was whole"
    begun = time.monotonic()
    assert call.text(first + response.read()).lower().count("kitchen") > 12
    print(f"the first event came {time.monotonic() - begun:.1f} s before the last")
    connection.close()


def finished(server):
    """Requests that the server is done with."""
    lines = server.ask("/metrics").body.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("sconce_requests_total{"))


def test_a_large_recording_passes(proxy):
    recording = repeated(RECORDING, 15)
    assert MB < len(recording) < 2 * MB
    assert transcribed(proxy, openai(recording, MODEL)).count("kitchen") > 7


def upload(proxy, path, size, file):
    """Status and body of what comes of so many bytes, sent as curl sends a file."""
    with file.open("wb") as sparse:
        sparse.truncate(size)
    command = [tool("curl"), "-s", f"{proxy.url}{path}", "-H", "Content-Type: audio/wav", "--data-binary", f"@{file}"]
    answer = subprocess.run([*command, "-w", "\n%{http_code}"], capture_output=True, text=True, timeout=PATIENCE)
    body, status = answer.stdout.rsplit("\n", 1)
    return int(status), body


def test_the_server_itself_says_what_is_too_large(proxy, tmp_path):
    status, said = upload(proxy, "/predict", 101 * MB, tmp_path / "large")
    assert status == 413 and "limits.max_body" in said, said


def test_what_is_far_too_large_does_not_fill_the_proxys_disk(proxied, server, tmp_path):
    status, said = upload(proxied(Nginx, [server.port] * 3), "/predict", 211 * MB, tmp_path / "large")
    assert status == 413 and '"code":"too_large"' in said, said


def test_bodies_and_silences_that_the_server_allows_are_not_cut_off(limits):
    nginx, caddy = ((FOLDER / kind.FILE).read_text() for kind in (Nginx, Caddy))
    body = int(limits["limits.max_body"].removesuffix("MB")) * MB
    assert int(re.search(r"client_max_body_size (\d+)m;", nginx)[1]) * 1024**2 > body and "max_size" not in caddy
    longest = seconds(limits["limits.wait"]) + seconds(limits["limits.request_timeout"])
    read = int(re.search(r"proxy_read_timeout (\d+)s;", nginx)[1])
    assert read > longest and int(re.search(r"response_header_timeout (\d+)s", caddy)[1]) > longest
    assert int(re.search(r"proxy_next_upstream_timeout (\d+)s;", nginx)[1]) < read
    # nginx closes idle connections after 60 s, unless told otherwise.
    assert "keepalive_timeout" not in nginx and seconds(limits["server.keep_alive"]) > 60
    assert int(re.search(r"\bkeepalive (\d+)s", caddy)[1]) < seconds(limits["server.keep_alive"])


@pytest.mark.parametrize("path", ["/metrics", "/v2/repository/index", "/download-models", "/models/acme/nano/load"])
def test_operations_are_not_for_everybody(proxy, path):
    method = "GET" if path == "/metrics" else "POST"
    assert asked_from("127.0.0.1", proxy, method, path) != 403
    assert asked_from("127.0.0.2", proxy, method, path) == 403
    assert asked_from("127.0.0.2", proxy, "GET", "/models/status") == 200


def asked_from(address, proxy, method, path):
    connection = HTTPConnection("127.0.0.1", proxy.port, timeout=PATIENCE, source_address=(address, 0))
    connection.request(method, path, b"{}" if method == "POST" else None, {"Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    return status


class Replica:
    """A server that writes down what it is asked, and answers with its own name or, told to die, not at all."""

    def __init__(self, name, dies=False):
        self.asked = []
        self.connections = Counter()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(name, dies))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def requests(self):
        """Those that are not probes."""
        return [(method, path) for method, path, _ in self.asked if path != "/health/ready"]

    def _handler(replica, name, dies):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                length = int(self.headers.get("Content-Length", 0))
                self.rfile.read(length)
                replica.asked.append((self.command, self.path, dict(self.headers)))
                if self.path != "/health/ready":
                    replica.connections[self.client_address] += 1
                if dies and self.path not in ("/health/ready", "/no-such-page"):
                    self.close_connection = True
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(name)))
                self.end_headers()
                self.wfile.write(name.encode())

            do_POST = do_GET

        return Handler


@pytest.fixture
def replica():
    """Starts replicas that end with the test."""
    replicas = []

    def start(*arguments, **options):
        replicas.append(Replica(*arguments, **options))
        return replicas[-1]

    yield start
    for replica in replicas:
        replica.close()


def test_a_replica_that_cannot_be_reached_is_passed_over(proxied, kind, replica):
    proxy = proxied(kind, [free_port(), replica("good").port, free_port()])
    for _ in range(6):
        for path in "/v1/audio/transcriptions", "/v1/audio/voices":
            assert ask(proxy.url + path, b"a recording").body == b"good"
        assert ask(f"{proxy.url}/v1/models").body == b"good"


def test_when_none_can_be_reached_the_answer_says_so(proxied, kind):
    proxy = proxied(kind, [free_port() for _ in range(3)])
    answer = ask(f"{proxy.url}/v1/audio/transcriptions", b"a recording")
    assert answer.status == 503 and answer.headers["Retry-After"] == "2", answer
    assert answer.json()["error"]["code"] == "no_replica"


def test_what_changes_nothing_goes_to_another_replica_when_one_dies(proxied, replica):
    dying = replica("dying", dies=True)
    proxy = proxied(Nginx, [dying.port, replica("one").port, replica("two").port])
    for path in "/predict", "/v1/audio/transcriptions", "/v2/models/acme/nano/infer", "/v1/audio/speech":
        answers = {ask(proxy.url + path, b"a recording").body for _ in range(4)}
        assert answers <= {b"one", b"two"}, path
    assert dying.requests()


def test_what_changes_something_is_sent_once(proxied, kind, replica):
    replicas = [replica(name, dies=True) for name in ("one", "two", "three")]
    proxy = proxied(kind, [each.port for each in replicas])
    for path in "/v1/audio/voices", "/v1/jobs":
        before = sum(len(each.requests()) for each in replicas)
        assert ask(proxy.url + path, b"a recording").status == 503
        assert sum(len(each.requests()) for each in replicas) == before + 1, path


def test_the_jobs_of_a_client_stay_with_one_replica(proxied, kind, replica):
    proxy = proxied(kind, [replica(name).port for name in ("one", "two", "three")])
    asked = [ask(f"{proxy.url}/v1/jobs", b"a recording")] + [ask(f"{proxy.url}/v1/jobs/job-1") for _ in range(5)]
    assert len({answer.body for answer in asked}) == 1


def test_connections_are_kept_and_the_client_is_named(proxied, kind, replica):
    one = replica("one")
    proxy = proxied(kind, [one.port] * 3)
    for _ in range(10):
        assert ask(f"{proxy.url}/v1/models").status == 200
    assert len(one.connections) <= 3, "one for each worker of the proxy"
    headers = {name.lower(): value for name, value in one.asked[-1][2].items()}
    assert headers["x-forwarded-for"] == "127.0.0.1" and headers["x-forwarded-proto"] == "http"
    assert headers["host"] == f"127.0.0.1:{proxy.port}"


def test_nginx_finds_nothing_wrong_with_the_file(proxied, server):
    nginx = proxied(Nginx, [server.port] * 3)
    command = [*nginx.command(), "-t", "-g", "master_process on;"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert answer.returncode == 0 and "warn" not in answer.stderr, answer.stderr
    assert "warn" not in (nginx.folder / "error.log").read_text()


def test_the_lines_about_tls_are_right(proxied, server, tmp_path, monkeypatch):
    port, key, certificate = free_port(), tmp_path / "key", tmp_path / "certificate"
    command = [tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=speech.example.com"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=PATIENCE)
    text = re.sub("(?m)^( *)#(listen 443|ssl_)", r"\1\2", (FOLDER / Nginx.FILE).read_text())
    places = {"listen 443": f"listen 127.0.0.1:{port}", "example.com.key": key, "example.com.pem": certificate}
    for shipped, here in places.items():
        text = re.sub(rf"(/\S+)?{re.escape(shipped)}", str(here), text)
    (tmp_path / Nginx.FILE).write_text(text)
    monkeypatch.setattr("proxy.FOLDER", tmp_path)
    proxied(Nginx, [server.port] * 3)
    command = [tool("curl"), "-s", "--cacert", certificate, "--resolve", f"speech.example.com:{port}:127.0.0.1"]
    answer = subprocess.run([*command, f"https://speech.example.com:{port}/health"], capture_output=True, timeout=PATIENCE)
    assert answer.returncode == 0 and b"healthy" in answer.stdout, answer


def test_caddy_finds_nothing_wrong_with_the_file():
    shipped = ["--config", FOLDER / Caddy.FILE]
    command = [tool("caddy"), "validate", "--adapter", "caddyfile", *shipped]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert answer.returncode == 0 and '"level":"warn"' not in answer.stderr, answer.stderr
    formatted = subprocess.run([tool("caddy"), "fmt", FOLDER / Caddy.FILE], capture_output=True, text=True, check=True)
    assert formatted.stdout == (FOLDER / Caddy.FILE).read_text()
