"""The scripts that deploy to Vertex AI, run whole against a stand-in of Google Cloud (`cloud.py`)."""

import os
import re
import shlex
import subprocess

import pytest
from cloud import DIGEST
from conftest import RECORDING, ROOT, tool
from desk import ON_DEMAND, STARTUP, Desk, bare, desk, only  # noqa: F401 (two of them are fixtures)
from server import until

IMAGE = f"us-central1-docker.pkg.dev/acme/sconce/sconce@{DIGEST}"
DRY_RUNS = ROOT / "tests/kit/dry_runs"


def environment(version):
    return {pair["name"]: pair["value"] for pair in version["containerSpec"]["env"]}


# === what is made ===


def test_everything_is_made_and_one_model_serves(desk):
    desk.does(*ON_DEMAND)
    assert desk.cloud.made == ["repository", "model", "endpoint", "deployment"]
    assert desk.cloud.repositories == ["sconce"]
    endpoint = only(desk.cloud.endpoints.values())
    deployed = only(endpoint["deployedModels"])
    assert endpoint["displayName"] == "sconce"
    assert endpoint["trafficSplit"] == {deployed["id"]: 100}
    assert deployed["model"].endswith("/models/sconce@1")


def test_the_image_is_built_for_vertex_pushed_and_pinned_by_its_digest(desk):
    desk.does(*ON_DEMAND)
    build, push = only(desk.docker("build")), only(desk.docker("push"))
    assert build[-1] == str(ROOT) and "linux/amd64" in build and "ACCELERATOR=cuda" not in build
    assert push[2] == build[build.index("--tag") + 1]
    assert only(desk.cloud.models["sconce"])["containerSpec"]["imageUri"] == f"{push[2].split(':')[0]}@{DIGEST}"


def test_the_container_is_described_as_the_server_is(desk):
    desk.does(*ON_DEMAND, "--env", "SCONCE_LIMITS__WAIT=40s")
    version = only(desk.cloud.models["sconce"])
    container = version["containerSpec"]
    assert container["ports"] == [{"containerPort": 8080}]
    assert (container["healthRoute"], container["predictRoute"]) == ("/health", "/predict")
    assert environment(version) == {
        "LOAD_MODE": "on_demand",
        "MODEL_ID": "openai/whisper-base",
        "SCONCE_LIMITS__WAIT": "40s",
    }
    assert container["healthProbe"]["exec"]["command"] == ["/usr/local/bin/sconce", "healthcheck"]
    assert container["startupProbe"]["exec"]["command"][-1] == "/health/live"


def test_each_mode_has_its_own_probes_patience_and_scaling(desk):
    desk.does(*ON_DEMAND, "--name", "lazy", "--max-replicas", "3")
    desk.does(*STARTUP, "--name", "eager", "--max-replicas", "3")
    lazy, eager = (only(desk.cloud.models[name]) for name in ("lazy", "eager"))
    assert environment(lazy)["LOAD_MODE"] == "on_demand" and environment(eager)["LOAD_MODE"] == "startup"
    assert lazy["containerSpec"]["deploymentTimeout"] == "1800s"
    assert eager["containerSpec"]["deploymentTimeout"] == "7200s"
    resources = [only(end["deployedModels"])["dedicatedResources"] for end in desk.cloud.endpoints.values()]
    assert [only(one["autoscalingMetricSpecs"])["target"] for one in resources] == [70, 50]
    assert [(one["minReplicaCount"], one["maxReplicaCount"]) for one in resources] == [(1, 3)] * 2


def test_an_accelerator_brings_its_image_its_machine_and_its_metric(desk):
    desk.does(*STARTUP, "--accelerator", "nvidia-l4:2")
    assert "ACCELERATOR=cuda" in only(desk.docker("build"))
    resources = only(only(desk.cloud.endpoints.values())["deployedModels"])["dedicatedResources"]
    assert resources["machineSpec"] == {
        "machineType": "g2-standard-24",
        "acceleratorType": "NVIDIA_L4",
        "acceleratorCount": 2,
    }
    assert len(resources["autoscalingMetricSpecs"]) == 2


def test_models_are_baked_in_where_that_is_asked_and_the_token_stays_out_of_the_image(desk):
    desk.does(*STARTUP, "--bake", "--model-id", "acme/secret", HF_TOKEN="hf_hidden")
    build = only(desk.docker("build"))
    assert "MODELS=acme/secret" in build and "id=hf-token,env=HF_TOKEN" in build
    assert "hf_hidden" not in " ".join(build)


def test_artifacts_take_the_place_of_a_model_of_the_hub(desk):
    desk.does(*STARTUP, "--artifacts", "gs://bucket/mine", "--service-account", "s@acme.iam.gserviceaccount.com")
    version = only(desk.cloud.models["sconce"])
    assert version["artifactUri"] == "gs://bucket/mine" and environment(version) == {"LOAD_MODE": "startup"}
    deployed = only(only(desk.cloud.endpoints.values())["deployedModels"])
    assert deployed["serviceAccount"] == "s@acme.iam.gserviceaccount.com"


def test_values_may_hold_what_parts_them(desk):
    values = {"SCONCE_ACCESS__KEYS": "sk-a,sk-b", "SCONCE_LOG__LEVEL": "sconce=debug,info", "HF_ENDPOINT": "http://h|x"}
    desk.does(*ON_DEMAND, *(word for pair in values.items() for word in ("--env", "=".join(pair))))
    assert values.items() <= environment(only(desk.cloud.models["sconce"])).items()


# === on the real server ===


class Container:
    """The real server as Vertex AI runs the container that a version describes, and that version's probes."""

    def __init__(self, version, program, serve, hub):
        self.spec, self.program = version["containerSpec"], program
        self.given = environment(version) | {
            "AIP_MODE": "PREDICTION",
            "AIP_HEALTH_ROUTE": self.spec["healthRoute"],
            "AIP_PREDICT_ROUTE": self.spec["predictRoute"],
            "HF_ENDPOINT": hub.url,
            "SCONCE_STORE__CONNECTIONS": "1",
        }
        self.server = serve(self.given)

    def passes(self, kind):
        probe = self.spec[f"{kind}Probe"]
        words = [self.program if word == "/usr/local/bin/sconce" else word for word in probe["exec"]["command"]]
        given = self.given | {"AIP_HTTP_PORT": str(self.server.port)}
        return subprocess.run(words, env=given, capture_output=True, timeout=60).returncode == 0


@pytest.mark.parametrize(("script", "at_once"), [(ON_DEMAND, True), (STARTUP, False)], ids=["on_demand", "startup"])
def test_the_probes_pass_on_the_real_server_when_the_mode_says_so(desk, program, serve, hub, script, at_once):
    desk.does(*script, "--model-id", "acme/nano")
    hub.rate = 1 << 19
    container = Container(only(desk.cloud.models["sconce"]), program, serve, hub)
    assert container.passes("startup")
    assert container.passes("health") == at_once
    hub.rate = None
    until(lambda: container.passes("health"), "healthy")
    answer = container.server.ask(container.spec["predictRoute"], RECORDING.read_bytes(), {"Content-Type": "audio/wav"})
    assert "kitchen lights" in answer.json()["text"].lower(), answer


# === again ===


def test_a_second_run_makes_nothing(desk):
    desk.does(*ON_DEMAND)
    before = list(desk.cloud.made)
    desk.does(*ON_DEMAND)
    assert desk.cloud.made == before


def test_another_image_is_another_version_that_takes_over(desk):
    desk.does(*ON_DEMAND)
    desk.cloud.pushed = "sha256:" + "cd" * 32
    desk.does(*ON_DEMAND)
    assert desk.cloud.made[4:] == ["model", "deployment", "undeployment"]
    endpoint = only(desk.cloud.endpoints.values())
    deployed = only(endpoint["deployedModels"])
    assert deployed["model"].endswith("@2") and endpoint["trafficSplit"][deployed["id"]] == 100
    assert "default" in desk.cloud.models["sconce"][-1]["versionAliases"]


def test_other_machines_are_no_other_version(desk):
    desk.does(*ON_DEMAND)
    desk.does(*ON_DEMAND, "--max-replicas", "4")
    assert desk.cloud.made[4:] == ["deployment", "undeployment"]


@pytest.mark.parametrize(
    ("refused", "code", "made"),
    [
        ("repository", 4, []),
        ("build", 4, ["repository"]),
        ("push", 4, ["repository"]),
        ("model", 5, ["repository"]),
        ("endpoint", 6, ["repository", "model"]),
        ("deployment", 6, ["repository", "model", "endpoint"]),
    ],
)
def test_a_failed_step_says_which_and_the_next_run_goes_on_from_there(desk, refused, code, made):
    desk.cloud.refuses = {refused}
    ran = desk.run(*ON_DEMAND)
    assert ran.returncode == code
    assert f"told to refuse: {refused}" in ran.stderr
    assert re.search(r"^error: .* failed: .* run this again", ran.stderr, re.MULTILINE), ran.stderr
    assert desk.cloud.made == made
    desk.cloud.refuses = set()
    desk.does(*ON_DEMAND)
    assert desk.cloud.made == ["repository", "model", "endpoint", "deployment"]


def test_an_old_model_that_could_not_be_taken_away_is_taken_away_by_the_next_run(desk):
    desk.does(*ON_DEMAND)
    desk.cloud.refuses = {"undeployment"}
    assert desk.run(*ON_DEMAND, "--max-replicas", "4").returncode == 6
    desk.cloud.refuses = set()
    desk.does(*ON_DEMAND, "--max-replicas", "4")
    assert desk.cloud.made[4:] == ["deployment", "undeployment"]


def test_a_deployment_that_takes_longer_than_gcloud_waits_is_watched(desk):
    desk.cloud.outlasts = True
    desk.does(*STARTUP)
    assert len(only(desk.cloud.endpoints.values())["deployedModels"]) == 1


def test_undeploying_leaves_the_endpoint_and_the_model(desk):
    desk.does(*ON_DEMAND)
    desk.does(*ON_DEMAND, "--undeploy")
    assert only(desk.cloud.endpoints.values())["deployedModels"] == [] and desk.cloud.models
    desk.does(*ON_DEMAND, "--undeploy", "--name", "never-there")
    desk.does(*ON_DEMAND)
    assert desk.cloud.made[4:] == ["undeployment", "deployment"]


def test_undeploying_takes_what_serves_last(desk):
    desk.does(*ON_DEMAND)
    desk.cloud.refuses = {"undeployment"}
    desk.run(*ON_DEMAND, "--max-replicas", "4")
    desk.cloud.refuses = set()
    (endpoint,) = desk.cloud.endpoints.values()
    endpoint["deployedModels"].reverse()
    desk.does(*ON_DEMAND, "--undeploy")
    assert desk.cloud.made[-2:] == ["undeployment"] * 2 and endpoint["deployedModels"] == []


# === what is wrong ===


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--nmae", "x"], "--nmae is no option"),
        (["now"], "now is no option"),
        (["--name"], "--name needs a value"),
        (["--model", "openai/whisper-small"], "--model is no option; --model-id says which model"),
        (["--name", "Sconce"], "lower-case letters"),
        (["--artifacts", "s3://bucket"], "gs://BUCKET/DIR would be right"),
        (["--accelerator", "L4 x 2"], "TYPE or TYPE:COUNT would be right"),
        (["--accelerator", "nvidia-new"], "give --machine-type too"),
        (["--accelerator", "nvidia-l4:3"], "give --machine-type too"),
        (["--min-replicas", "0"], "a whole number from 1 to 1000"),
        (["--min-replicas", "3", "--max-replicas", "2"], "a whole number from 3 to 1000"),
        (["--target-utilization", "101"], "a whole number from 1 to 100"),
        (["--env", "lower=1"], "NAME=VALUE would be right"),
        (["--env", "AIP_MODE=x"], "Vertex AI sets the AIP_ variables itself"),
        (["--env", "LOAD_MODE=startup"], "the other script"),
        (["--image", IMAGE, "--bake"], "leave out --bake or --image"),
        (["--artifacts", "gs://b/m", "--bake"], "leave out one of the two"),
        (["--env", "X=|;@#%~"], "none is left to part them"),
    ],
)
def test_wrong_usage_is_explained_and_nothing_happens(desk, options, said):
    ran = desk.run(*ON_DEMAND, *options)
    assert (ran.returncode, said in ran.stderr) == (2, True), ran.stderr
    assert desk.cloud.asked == []


def test_a_project_is_needed(desk):
    assert desk.run(ON_DEMAND[0]).returncode == 2
    desk.does(ON_DEMAND[0], "--dry-run", GOOGLE_CLOUD_PROJECT="acme")


def test_missing_tools_are_named(bare):
    ran = bare.run(*ON_DEMAND)
    assert ran.returncode == 3 and "gcloud is not installed" in ran.stderr
    ran = bare.hand_over("gcloud").run(*ON_DEMAND)
    assert ran.returncode == 3 and "docker is not installed" in ran.stderr


def test_an_image_that_is_not_there_is_said(desk):
    ran = desk.run(*ON_DEMAND, "--image", "us-central1-docker.pkg.dev/acme/sconce/sconce:gone")
    assert ran.returncode == 4 and "there is no image us-central1-docker.pkg.dev/acme/sconce/sconce:gone" in ran.stderr


@pytest.mark.parametrize("tag", ["", ":latest"])
def test_an_image_that_is_there_is_pinned_and_nothing_is_built(desk, tag):
    image = "us-central1-docker.pkg.dev/acme/sconce/sconce"
    desk.cloud.tags = {f"{image}:latest": DIGEST}
    desk.does(*ON_DEMAND, "--image", image + tag)
    assert not desk.docker("build")
    assert only(desk.cloud.models["sconce"])["containerSpec"]["imageUri"] == IMAGE


def test_two_endpoints_of_one_name_are_not_guessed_between(desk):
    desk.cloud.make_endpoint("sconce")
    desk.cloud.make_endpoint("sconce")
    ran = desk.run(*ON_DEMAND)
    assert ran.returncode == 6 and "several endpoints are called sconce (1000 1001)" in ran.stderr


# === what is shown ===


@pytest.mark.parametrize(
    ("name", "script", "options"),
    [
        ("on_demand", ON_DEMAND, ["--env", "HF_TOKEN=hf_hidden"]),
        ("startup_gpu", STARTUP, ["--accelerator", "nvidia-l4", "--image", IMAGE, "--max-replicas", "4"]),
        ("undeploy", ON_DEMAND, ["--undeploy"]),
    ],
)
def test_a_dry_run_prints_every_command_and_needs_no_tool(bare, name, script, options):
    (bare.folder / "git").unlink()
    shown = bare.does(*script, *options, "--dry-run").stdout.replace(str(ROOT), "ROOT")
    reviewed = DRY_RUNS / f"{name}.txt"
    if "UPDATE_DRY_RUNS" in os.environ:
        reviewed.write_text(shown)
    assert shown == reviewed.read_text(), "UPDATE_DRY_RUNS=1 writes what is printed now"
    assert bare.cloud.asked == []


def test_a_dry_run_ends_with_what_would_come_of_it(bare):
    asked = ("--region", "europe-west4", "--name", "speech", "--accelerator", "nvidia-l4", "--max-replicas", "4")
    begins, *_, summary = bare.does(*STARTUP, *asked, "--dry-run").stdout.partition("\n#\n")
    assert begins.startswith("# ? only looks; + changes something")
    for said in [
        "openai/whisper-base (LOAD_MODE=startup) at the endpoint speech in europe-west4",
        "machine:  g2-standard-8 with 1 x nvidia-l4",
        "replicas: 1 to 4, more above 50 % of GPU or CPU",
        "given up after 120 min",
        "call:     gcloud ai endpoints raw-predict ENDPOINT --project acme --region europe-west4",
        f"undo:     {STARTUP[0]} --project acme --region europe-west4 --name speech --undeploy",
    ]:
        assert said in summary, (said, summary)


def test_what_is_printed_can_be_pasted_and_is_quoted_only_where_it_must_be(bare):
    values = ["it's \"one\" $HOME `x` \\ *", "plain-value_1,2"]
    asked = [word for number, value in enumerate(values) for word in ("--env", f"V{number}={value}")]
    shown = bare.does(*ON_DEMAND, *asked, "--dry-run").stdout
    (line,) = [line for line in shown.splitlines() if line.startswith("+ gcloud ai models upload")]
    words = shlex.split(line)
    assert f"^|^LOAD_MODE=on_demand|MODEL_ID=openai/whisper-base|V0={values[0]}|V1={values[1]}" in words
    assert " --container-startup-probe-exec /usr/local/bin/sconce,healthcheck,--route,/health/live " in line


def test_what_a_dry_run_prints_is_what_a_first_run_does(desk):
    def changes(text):
        known = {"VERSION": "1", "ENDPOINT": "1000", "sha256:DIGEST": DIGEST}
        text = re.sub("VERSION|ENDPOINT|sha256:DIGEST", lambda found: known[found[0]], text)
        text = re.sub(r"of-\w+|(?<=deployed-model-id )\d+", "ID", text)
        return [line for line in text.splitlines() if line.startswith("+ ")]

    dry = desk.does(*ON_DEMAND, "--dry-run")
    assert dry.stderr == "", "it says that it does something"
    assert changes(dry.stdout) == changes(desk.does(*ON_DEMAND).stderr)


def test_secrets_are_not_shown(desk):
    ran = desk.does(*ON_DEMAND, "--env", "HF_TOKEN=hf_hidden", "--env", "SCONCE_ACCESS__KEYS=sk-hidden")
    assert "hidden" not in ran.stdout + ran.stderr
    assert environment(only(desk.cloud.models["sconce"]))["HF_TOKEN"] == "hf_hidden"


# === the real gcloud ===


def test_the_real_gcloud_makes_the_same(desk, tmp_path):
    """Also shows that the gcloud that is none understands what the real one does."""
    gcloud = tool("gcloud")
    real = Desk(tmp_path / "real")
    variables = {
        "PATH": f"{real.folder}:{os.environ['PATH']}",
        "CLOUDSDK_CONFIG": str(tmp_path / "config"),
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": real.cloud.url,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_ARTIFACTREGISTRY": real.cloud.url,
    }
    real.link("gcloud", gcloud)
    real.hand_over("docker")
    gpu = ["--image", IMAGE, "--accelerator", "nvidia-l4", "--artifacts", "gs://bucket/mine", "--env", "SCONCE_ACCESS__KEYS=a,b"]
    try:
        for one, variables in ((real, variables), (desk, {})):
            one.does(*ON_DEMAND, **variables)
            one.does(*STARTUP, *gpu, **variables)
            before = list(one.cloud.made)
            one.does(*STARTUP, *gpu, **variables)
            assert one.cloud.made == before
            one.cloud.deploy("1000", {"id": "7"}, {"7": 100})
            one.does(*ON_DEMAND, "--undeploy", **variables)
        assert real.cloud.made == desk.cloud.made
        assert real.cloud.models == desk.cloud.models
        assert real.cloud.endpoints == desk.cloud.endpoints
    finally:
        real.cloud.close()
