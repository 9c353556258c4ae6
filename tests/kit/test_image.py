"""The image, built from the shipped Dockerfile and run as a cluster runs it."""

import base64
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import tomllib
import zlib
from pathlib import Path

import images
import pytest
from bucket import Bucket
from conftest import EMBEDDED, RECORDING, ROOT, tool
from hub import Hub
from images import BUILD_PATIENCE, USER, alone, base, build, build_ours, inspected, podman, run
from server import free_port, until

pytestmark = pytest.mark.timeout(BUILD_PATIENCE)

SMALL = 165_000_000
SCONCE = "/usr/local/bin/sconce"
WAV = {"Content-Type": "audio/wav"}
STRICT = [f"--health-cmd={SCONCE} healthcheck", "--health-start-period=0s", "--health-retries=1"]
"""The image's HEALTHCHECK, where one bad answer is enough."""
HADOLINT = {
    "DL3006": "a stage that ACCELERATOR, ESPEAK_NG or FFMPEG names has no tag",
    "DL3008": "packages of the distribution: its newest are the right ones",
}

NO_SHELL = """\
FROM {debian} AS debian
RUN mkdir -m 1777 -p /base/tmp && cp -a --parents /lib /lib64 /usr/lib /usr/lib64 /base
FROM scratch
COPY --from=debian /base /
"""
"""A base with libraries and no program at all, as distroless images are."""


@pytest.fixture(scope="module")
def baked(image, tmp_path_factory):
    """With a model of a gated repository in it; its token comes as a secret."""
    hub = Hub()
    hub.put("acme/nano", EMBEDDED)
    hub.token = "hf_secret"
    secret = tmp_path_factory.mktemp("secret") / "token"
    secret.write_text(hub.token)
    try:
        models = ["--build-arg", "MODELS=acme/nano", "--build-arg", f"HF_ENDPOINT={hub.url}"]
        yield build_ours("localhost/sconce:baked", *models, "--secret", f"id=hf-token,src={secret}")
    finally:
        hub.close()
        podman("rmi", "--force", "localhost/sconce:baked", check=False)


# === What is in it ===


def test_it_is_small(image, capsys):
    size = inspected(image)["Size"]
    with capsys.disabled():
        print(f"\nthe CPU image without models: {size / 1e6:.0f} MB")
    assert size <= SMALL


def test_it_says_what_it_is_and_how_it_is_run(image):
    config = inspected(image)["Config"]
    labels = config["Labels"]
    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    assert labels["org.opencontainers.image.version"] == package["version"]
    assert labels["org.opencontainers.image.licenses"] == package["license"]
    assert {"title", "description", "revision"} <= {name.rsplit(".", 1)[1] for name in labels}
    assert config["User"] == USER
    assert inspected(image)["Healthcheck"]["Test"] == ["CMD", SCONCE, "healthcheck"]
    assert not [name for name in config["Env"] if name.startswith(("AIP_", "HF_"))], "those are the platform's to set"


def test_the_program_lists_the_packages_that_it_is_made_of(image, tmp_path):
    """Where scanners look for it: https://github.com/rust-secure-code/cargo-auditable."""
    mounted = podman("image", "mount", image).stdout.strip()
    try:
        part = tmp_path / "packages"
        run(tool("objcopy"), "--dump-section", f".dep-v0={part}", mounted + SCONCE, tmp_path / "program")
    finally:
        podman("image", "unmount", image)
    listed = versions(json.loads(zlib.decompress(part.read_bytes()))["packages"])
    locked = versions(tomllib.loads((ROOT / "Cargo.lock").read_text())["package"])
    assert listed <= locked, listed - locked
    assert {"sconce", "candle-core", "actix-web", "tokenizers"} <= {name for name, _ in listed}


def versions(packages):
    return {(package["name"], package["version"]) for package in packages}


def test_the_entrypoint_is_posix_and_clean():
    script = ROOT / "entrypoint.sh"
    run(tool("shellcheck"), "--shell=sh", "--enable=all", "--exclude=SC2250,SC2310,SC2312", script)
    run(tool("dash"), "-n", script)
    assert os.access(script, os.X_OK)


def test_the_dockerfile_is_clean():
    hadolint = Path(sys.executable).with_name("hadolint")
    ignored = [part for rule in HADOLINT for part in ["--ignore", rule]]
    run(hadolint, "--no-color", *ignored, ROOT / "Dockerfile")


# === How it runs ===


def test_it_serves_without_any_right(image, start, volume):
    server = start(image, arguments=[volume]).opened()
    assert "kitchen lights" in server.transcribed()
    assert server.status("Name") == ["sconce"]
    assert server.status("NSpid")[-1] == "1"
    assert server.status("Uid") == ["65532"] * 4
    assert server.status("Gid") == ["65532"] * 4
    assert server.status("CapEff") == ["0000000000000000"]
    assert server.status("NoNewPrivs") == ["1"]
    assert "entrypoint" not in server.logs(), "there was nothing to say"
    refused = podman("exec", server.name, "touch", "/usr/local/bin/x", check=False)
    assert "Read-only file system" in refused.stderr
    server.terminate()
    assert server.ended() == 0


def test_on_demand_it_is_healthy_at_once_and_fetches_with_the_first_request(image, start, volume, hub):
    environment = {"LOAD_MODE": "on_demand", "MODEL_ID": "acme/nano", "HF_ENDPOINT": hub.url}
    server = start(image, environment, [volume]).opened()
    assert server.healthy()
    assert not hub.downloads
    assert "kitchen lights" in server.transcribed()
    assert hub.downloads["acme/nano/model.safetensors"] == 1
    again = start(image, environment | {"HF_HUB_OFFLINE": "1"}, [volume]).opened()
    assert "kitchen lights" in again.transcribed(), "from the volume"


def test_at_startup_it_is_healthy_when_the_model_is_ready(image, start, volume, hub):
    hub.rate = 50_000
    environment = {"LOAD_MODE": "startup", "MODEL_ID": "acme/nano", "HF_ENDPOINT": hub.url}
    server = start(image, environment, [volume, *STRICT]).opened()
    assert server.ask("/health").status == 503
    assert not server.healthy()
    assert server.state("Healthcheck.Status") == "unhealthy"
    hub.rate = None
    until(lambda: server.ask("/health").status == 200, "healthy")
    assert server.healthy()
    assert server.state("Healthcheck.Status") == "healthy"
    assert "kitchen lights" in server.transcribed()
    podman("kill", "--signal=STOP", server.name)
    assert not server.healthy(), "it does not answer"
    podman("kill", "--signal=CONT", server.name)


def test_what_is_baked_in_is_served_without_a_network(baked, start):
    server = start(baked, {"LOAD_MODE": "startup"}, ["--network=none"])
    inside = ["nsenter", "--target", server.pid, "--net", tool("curl"), "--silent", "--fail", "--noproxy", "*"]
    until(lambda: server.healthy(), "healthy", pause=0.2)
    said = run(*inside, "--data-binary", f"@{RECORDING}", "-H", "Content-Type: audio/wav", server.url + "/predict")
    assert "kitchen lights" in said.stdout.lower()
    models = json.loads(run(*inside, server.url + "/models/status").stdout)
    assert "acme/nano" in json.dumps(models)
    history = podman("history", "--no-trunc", baked).stdout + json.dumps(inspected(baked))
    assert "hf_secret" not in history


def test_it_needs_no_shell(image, start, tmp_path):
    with alone("images"):
        build("-t", "localhost/no-shell", "-f", "-", tmp_path, input=NO_SHELL.format(debian=base("RUNTIME_IMAGE")))
    bare = build_ours("localhost/sconce:no-shell", "--build-arg", "RUNTIME_IMAGE=localhost/no-shell")
    server = start(bare, arguments=["--entrypoint", SCONCE], command=["serve"]).opened()
    assert "kitchen lights" in server.transcribed()
    assert server.healthy()
    refused = podman("exec", server.name, "/bin/sh", "-c", "true", check=False)
    assert refused.returncode, "there is a shell after all"


def test_a_platform_may_choose_the_user(image, start):
    server = start(image, {"MODEL_ID": ""}, ["--user=12345:0"]).opened()
    assert server.status("Uid") == ["12345"] * 4
    assert "kitchen lights" in server.transcribed()


# === The end ===


def test_a_request_that_runs_is_answered_before_the_end(image, start):
    server = start(image).opened()
    assert "kitchen lights" in server.transcribed(), "from here on the model is in memory"
    body = RECORDING.read_bytes()
    head = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: audio/wav\r\nExpect: 100-continue\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 100"), "the request is being read"
        client.sendall(body[: len(body) // 2])
        server.terminate()
        until(lambda: "stopping" in server.logs(), "stopping", pause=0.2)
        client.sendall(body[len(body) // 2 :])
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert b"kitchen lights" in answer.lower()
    assert server.ended() == 0


# === Odd situations ===


def test_a_wrong_mode_is_said_and_ends_the_start(image, start):
    server = start(image, {"LOAD_MODE": "eager"})
    assert server.ended() == 2
    assert re.search(r"LOAD_MODE.*eager.*startup", server.logs(), re.DOTALL), server.logs()


def test_a_cache_of_somebody_else_is_said_and_another_is_taken(image, start, tmp_path, hub):
    environment = {"MODEL_ID": "acme/nano", "HF_ENDPOINT": hub.url}
    server = start(image, environment, [f"--volume={tmp_path}:/var/cache/sconce"]).opened()
    assert "/var/cache/sconce cannot be written" in server.logs()
    assert "models are kept in /tmp/sconce" in server.logs()
    assert "kitchen lights" in server.transcribed()


def test_a_volume_that_is_named_and_missing_is_said(image, start, hub):
    environment = {"MODEL_ID": "acme/nano", "HF_ENDPOINT": hub.url, "HF_HUB_CACHE": "/mnt/models"}
    server = start(image, environment).opened()
    assert re.search(r"/mnt/models cannot be written.*65532", server.logs())
    assert "nothing can be fetched into it" in server.logs()
    answer = server.ask("/predict?wait=60", RECORDING.read_bytes(), WAV)
    assert answer.status == 503, answer
    assert "written" in answer.json()["error"]["message"], answer


def test_with_nothing_to_write_it_serves_what_it_has(image, start):
    server = start(image, tmpfs=None).opened()
    assert "nothing can be fetched" in server.logs()
    assert "kitchen lights" in server.transcribed()


def test_on_runpod_models_are_kept_on_its_volume(image, start, tmp_path, hub):
    os.chown(tmp_path, *map(int, USER.split(":")))
    environment = {"MODEL_ID": "acme/nano", "HF_ENDPOINT": hub.url, "RUNPOD_POD_ID": "abc"}
    server = start(image, environment, [f"--volume={tmp_path}:/runpod-volume"]).opened()
    assert "models are kept in /runpod-volume" in server.logs()
    assert "kitchen lights" in server.transcribed()
    assert list(tmp_path.rglob("model.safetensors"))


# === Vertex AI ===


@pytest.fixture
def bucket():
    bucket = Bucket()
    bucket.put("artifacts/model-7", EMBEDDED)
    yield bucket
    bucket.close()


def test_on_vertex_the_port_opens_first_and_odd_routes_are_served(image, start, bucket):
    health, predict = "/v1/endpoints/7/deployedModels/8:predict", "/v1/models/m:predict"
    environment = {
        "AIP_MODE": "PREDICTION",
        "AIP_MODE_VERSION": "1.0.0",
        "AIP_FRAMEWORK": "CUSTOM_CONTAINER",
        "AIP_HEALTH_ROUTE": health,
        "AIP_PREDICT_ROUTE": predict,
        "AIP_STORAGE_URI": "gs://artifacts/model-7",
        "AIP_PROJECT_NUMBER": "1",
        "AIP_ENDPOINT_ID": "7",
        "AIP_DEPLOYED_MODEL_ID": "8",
        "AIP_MODEL_NAME": "m",
        "AIP_VERSION_NAME": "1",
        "AIP_MACHINE_TYPE": "n1-standard-4",
        "AIP_ACCELERATOR_TYPE": "",
        "STORAGE_EMULATOR_HOST": bucket.host,
        "SCONCE_REMOTE__GCS__ANONYMOUS": "true",
    }
    server = start(image, environment, port_name="AIP_HTTP_PORT")
    until(lambda: socket.create_connection(("127.0.0.1", server.port), timeout=1).close() or True, "open")
    until(lambda: server.ask(health).status == 200, "healthy")
    assert server.healthy(), "HEALTHCHECK finds it as well"
    assert "kitchen lights" in server.transcribed(predict)
    assert server.ask("/download-models", b"{}", {"Content-Type": "application/json"}).status in (403, 404)


@pytest.fixture
def docker(monkeypatch):
    """podman, where Google's code looks for docker."""
    pytest.importorskip("google.cloud.aiplatform.prediction")
    with tempfile.TemporaryDirectory() as folder:
        address = f"unix://{folder}/docker.sock"
        monkeypatch.setenv("DOCKER_HOST", address)
        service = subprocess.Popen(["podman", "system", "service", "--time=0", address], env=images.environment())
        until(Path(folder, "docker.sock").exists, "podman listens")
        yield
        service.terminate()
        service.wait(60)


def test_googles_own_local_endpoint_serves_it(image, docker):
    from google.cloud.aiplatform.prediction import LocalModel

    model = LocalModel(
        serving_container_image_uri=image,
        serving_container_predict_route="/v1/models/m:predict",
        serving_container_health_route="/ready",
        serving_container_ports=[8080],
        serving_container_environment_variables={"MODEL_ID": "", "LOAD_MODE": "startup"},
    )
    port = free_port()
    endpoint = model.deploy_to_local_endpoint(artifact_uri=str(EMBEDDED), host_port=("127.0.0.1", port))
    endpoint.assigned_host_port = port
    recording = base64.b64encode(RECORDING.read_bytes()).decode()
    try:
        with endpoint:
            assert endpoint.run_health_check().status_code == 200
            body = json.dumps({"instances": [{"audio": recording}]})
            answer = endpoint.predict(request=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 200, answer.text
        assert "kitchen lights" in answer.json()["predictions"][0]["text"].lower()
    finally:
        endpoint.container.remove(force=True)
        endpoint.container = None  # or it is looked for once more when nothing is left to ask
