"""The templates for KServe, Cloud Run and RunPod: held against those platforms' own types where these can be had, and
their settings tried on the real server."""

import copy
import json
import os
import re
import shutil
import subprocess

import pytest
import yaml
from cloud import Cloud
from conftest import EMBEDDED, RECORDING, ROOT, tool
from server import until

RUNTIME = ROOT / "deploy/kserve/serving-runtime.yaml"
SERVICE = ROOT / "deploy/kserve/inference-service.yaml"
CLOUD_RUN = ROOT / "deploy/cloud-run/service.yaml"
RUNPOD = ROOT / "deploy/runpod/endpoint.json"
RUNPOD_CHATTERBOX = ROOT / "deploy/runpod/chatterbox.json"
RUNPOD_TWO = ROOT / "deploy/runpod/chatterbox-higgs.json"


def read(path):
    return yaml.safe_load(path.read_text())


def pairs(listed, key="name"):
    return {pair[key]: pair["value"] for pair in listed}


def kserve_container():
    (container,) = read(RUNTIME)["spec"]["containers"]
    return container


def cloud_run_container():
    (container,) = read(CLOUD_RUN)["spec"]["template"]["spec"]["containers"]
    return container


def runpod(file=RUNPOD):
    return json.loads(file.read_text())["variables"]["input"]


ENVIRONMENTS = {
    "kserve": lambda: {name: value.replace("{{.Name}}", "mine") for name, value in pairs(kserve_container()["env"]).items()},
    "cloud-run": lambda: pairs(cloud_run_container()["env"]),
    "runpod": lambda: pairs(runpod()["template"]["env"], "key"),
    "runpod-chatterbox": lambda: pairs(runpod(RUNPOD_CHATTERBOX)["template"]["env"], "key"),
    "runpod-two": lambda: pairs(runpod(RUNPOD_TWO)["template"]["env"], "key"),
}


def effective(program, environment, folder):
    """The configuration that the program makes of the environment: where each value came from, and the values."""
    ran = subprocess.run([program, "check-config"], env=environment, cwd=folder, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    lines = [re.split(r"\s{2,}", line.strip()) for line in ran.stdout.splitlines()]
    return {line[0]: line[1] for line in lines if len(line) == 3}, {line[2] for line in lines if len(line) == 3}


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)([a-z]*)", text).groups()
    return int(number) * {"": 1, "s": 1, "m": 60, "h": 3600}[unit]


@pytest.mark.parametrize("platform", ENVIRONMENTS)
def test_the_program_takes_every_variable_that_a_template_sets(program, tmp_path, platform):
    environment = ENVIRONMENTS[platform]()
    _, origins = effective(program, environment, tmp_path)
    # RunPod itself reads this one.
    assert environment.keys() - origins - {"PORT_HEALTH"} == set()


# === KServe ===


def misspelt():
    """A runtime with a field that KServe does not know, and one of another type."""
    runtime = copy.deepcopy(read(RUNTIME))
    runtime["spec"]["containers"][0]["readinessProbe"]["httpGt"] = {}
    runtime["spec"]["protocolVersions"] = "v2"
    return runtime


@pytest.fixture(scope="module")
def kserve_faults():
    """What KServe's types find, by manifest; one run for all, since their package takes seconds to load."""
    python = os.environ.get("TEST_PYTHON") or pytest.skip("TEST_PYTHON names no interpreter that has kserve")
    manifests = {"serving-runtime": read(RUNTIME), "inference-service": read(SERVICE), "misspelt": misspelt()}
    command, text = [python, ROOT / "tests/kit/kserve_fields.py"], yaml.dump_all(manifests.values())
    found = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=True).stdout
    return dict(zip(manifests, json.loads(found), strict=True))


@pytest.mark.parametrize("path", [RUNTIME, SERVICE], ids=lambda path: path.stem)
def test_kserve_knows_every_field(kserve_faults, path):
    assert kserve_faults[path.stem] == []


def test_a_field_that_kserve_does_not_know_would_be_found(kserve_faults):
    found = kserve_faults["misspelt"]
    assert any("containers[0].readinessProbe.httpGt is unknown" in fault for fault in found), found
    assert any("protocolVersions should be a list" in fault for fault in found), found


def test_the_runtime_serves_what_the_service_asks_for():
    runtime, model = read(RUNTIME)["spec"], read(SERVICE)["spec"]["predictor"]["model"]
    assert model["modelFormat"]["name"] in [known["name"] for known in runtime["supportedModelFormats"]]
    assert model["runtime"] == read(RUNTIME)["metadata"]["name"]
    assert model["protocolVersion"] in runtime["protocolVersions"]


def test_kserves_mounted_files_are_served_under_the_services_name(serve, tmp_path):
    mounted = tmp_path / "mnt/models"
    shutil.copytree(EMBEDDED, mounted)
    name = read(SERVICE)["metadata"]["name"]
    environment = {
        key: value.replace("{{.Name}}", name).replace("/mnt/models", str(mounted)).replace("/tmp/hub", str(tmp_path / "hub"))
        for key, value in pairs(kserve_container()["env"]).items()
    }
    server = serve(environment)
    probes = kserve_container()
    assert server.ask(probes["livenessProbe"]["httpGet"]["path"]).status == 200
    until(lambda: server.ask(probes["readinessProbe"]["httpGet"]["path"]).status == 200, "ready")
    assert server.ask(f"/v2/models/{name}/ready").status == 200
    answer = server.ask(f"/v2/models/{name}/infer", RECORDING.read_bytes(), {"Inference-Header-Content-Length": "0"})
    assert answer.status == 200 and b"kitchen lights" in answer.body, answer


# === Cloud Run ===


class CloudRun(Cloud):
    """Knows no service and keeps what is posted."""

    posted = None

    def answer(self, method, path, query, body):
        if method == "POST" and path == "/apis/serving.knative.dev/v1/namespaces/acme/services":
            self.posted = body
        return None


def test_gcloud_reads_the_service_as_it_is_written(tmp_path):
    """The real one, which refuses what Cloud Run's API has no field for; what it posts is what is in the file."""
    gcloud, cloud = tool("gcloud"), CloudRun()
    variables = {
        "PATH": os.environ["PATH"],
        "CLOUDSDK_CONFIG": str(tmp_path),
        "CLOUDSDK_CORE_PROJECT": "acme",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        # It puts the region before the name of the host, so that the host has to be behind a proxy.
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN": "http://run.test/",
        "CLOUDSDK_PROXY_TYPE": "http",
        "CLOUDSDK_PROXY_ADDRESS": "127.0.0.1",
        "CLOUDSDK_PROXY_PORT": cloud.url.strip("/").rpartition(":")[2],
    }
    words = [gcloud, "run", "services", "replace", CLOUD_RUN, "--region", "us-central1"]
    ran = subprocess.run(words, env=variables, capture_output=True, text=True, timeout=120)
    cloud.close()
    assert cloud.posted is not None, ran.stderr
    assert cloud.posted["spec"] == read(CLOUD_RUN)["spec"]


def test_cloud_runs_bounds_are_kept(program, tmp_path):
    values, _ = effective(program, ENVIRONMENTS["cloud-run"](), tmp_path)
    spec, container = read(CLOUD_RUN)["spec"]["template"]["spec"], cloud_run_container()
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] <= 240
    assert startup["timeoutSeconds"] <= startup["periodSeconds"]
    assert seconds(values["server.grace"]) + seconds(values["server.drain"]) < 10
    assert seconds(values["limits.request_timeout"]) < spec["timeoutSeconds"] <= 3600
    assert spec["containerConcurrency"] == int(values["runtime.max_batch"])
    assert container["ports"] == [{"containerPort": int(values["server.port"])}]


# === RunPod ===


def test_a_worker_on_runpod_says_when_its_model_is_there_and_keeps_it_on_the_volume(serve, hub, tmp_path):
    environment = pairs(runpod()["template"]["env"], "key")
    port, volume = environment.pop("PORT"), tmp_path / "runpod-volume"
    assert environment.pop("PORT_HEALTH") == port and runpod()["template"]["ports"] == f"{port}/http"
    assert environment.pop("SCONCE_RUNTIME__REQUIRE_GPU") == "true"
    environment = {name: value.replace("/runpod-volume", str(volume)) for name, value in environment.items()}
    hub.put(environment["MODEL_ID"], EMBEDDED)
    hub.rate = 1 << 20
    server = serve(environment | {"HF_ENDPOINT": hub.url, "SCONCE_STORE__CONNECTIONS": "1"})
    assert server.ask("/ping").status == 204
    hub.rate = None
    until(lambda: server.ask("/ping").status == 200, "healthy")
    server.stop()
    second = serve(environment | {"HF_ENDPOINT": hub.url})
    until(lambda: second.ask("/ping").status == 200, "healthy")
    assert hub.downloads[f"{environment['MODEL_ID']}/model.safetensors"] == 1


def test_the_endpoint_on_runpod_balances_load():
    endpoint = runpod()
    assert (endpoint["type"], endpoint["scalerType"]) == ("LB", "REQUEST_COUNT")
    assert endpoint["workersMin"] <= endpoint["workersMax"]
    assert endpoint["template"]["imageName"].endswith("-cuda")
