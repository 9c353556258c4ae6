"""The chart and the server agree: settings, probes, stops, selectors, and what the other containers run."""

import copy
import subprocess

import pytest
import settings
from chart import EVERYTHING, ONE_DISK, VALUES, objects, one, pods, server
from conftest import RECORDING, tool
from server import Server, until

MODES = ["startup", "on_demand", "background"]


def configuration(manifests, folder):
    """sconce.toml of the ConfigMap, as a file."""
    file = folder / "sconce.toml"
    file.write_text(one("ConfigMap", manifests)["data"]["sconce.toml"])
    return file


def effective(program, manifests, folder, of_the_image=()):
    """Every setting in force, as the real program reads what the image and the Pod give it."""
    variables = dict(of_the_image) | {
        item["name"]: item["value"] for item in server(manifests)["env"] if "value" in item
    }
    variables |= {"SCONCE_CONFIG": str(configuration(manifests, folder))}
    ran = subprocess.run([program, "check-config"], env=variables, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    rows = (line.split(maxsplit=1) for line in ran.stdout.splitlines())
    return {row[0]: row[1].rsplit("  ", 1)[0].strip() for row in rows if len(row) == 2}


def seconds(text):
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


# === Settings ===


@pytest.mark.parametrize("name", VALUES)
def test_the_program_takes_what_the_chart_makes(name, program, tmp_path):
    values, files = VALUES[name]
    manifests = objects(values, *files)
    found = effective(program, manifests, tmp_path)
    container = server(manifests)
    assert found["server.port"] == str(container["ports"][0]["containerPort"])
    assert found["store.cache_dir"] == "/var/cache/sconce/hub"
    assert found["memory.budget"] == "auto" and found["log.format"] == "json"
    assert found["runtime.require_gpu"] == str("nvidia.com/gpu" in container["resources"]["limits"]).lower()


def test_values_become_the_settings_that_they_are_named_after(program, tmp_path):
    found = effective(program, objects(EVERYTHING), tmp_path)
    assert found["load_mode"] == "startup" and found["default_model"] == "openai/whisper-base"
    assert found["limits.wait"] == "20s" and found["telemetry.sample"] == "0.25"
    assert found['models."openai/whisper-base".pinned'] == "true" and found["models.mine.aliases"] == "m,my"
    assert found["jobs.dir"] == "/var/lib/sconce/jobs" and found["access.file"] == "/run/sconce/keys.toml"
    assert found["tls.certificate"] == "/run/sconce/tls.crt" and found["tls.key"] == "/run/sconce/tls.key"
    mounted = {mount["mountPath"] for mount in server(objects(EVERYTHING))["volumeMounts"]}
    assert {"/etc/sconce", "/run/sconce", "/var/lib/sconce/jobs", "/var/cache/sconce", "/tmp"} <= mounted


def test_what_config_says_wins_over_what_the_chart_sets_of_itself(program, tmp_path):
    config = {
        "memory": {"budget": "none"},
        "log": {"format": "pretty"},
        "runtime": {"require_gpu": False},
        "store": {"quota": "1GiB"},
    }
    found = effective(program, objects({"config": config, "gpu": {"enabled": True}}), tmp_path)
    assert (found["memory.budget"], found["log.format"], found["store.quota"]) == ("none", "pretty", "1GiB")
    assert found["runtime.require_gpu"] == "false"


def test_what_the_values_say_wins_over_what_an_image_with_models_in_it_says(program, tmp_path):
    image = {"MODEL_ID": "openai/whisper-tiny", "SCONCE_STORE__READ_ONLY": "/models", "XDG_CACHE_HOME": "/elsewhere"}
    values = {"defaultModel": "openai/whisper-base", "config": {"store": {"read_only": ["/shared", "/models"]}}}
    found = effective(program, objects(values), tmp_path, image)
    assert found["default_model"] == "openai/whisper-base"
    assert found["store.read_only"] == "/shared:/models"
    assert found["store.cache_dir"] == "/var/cache/sconce/hub"
    unsaid = effective(program, objects(), tmp_path, image)
    assert unsaid["default_model"] == "openai/whisper-tiny" and unsaid["store.read_only"] == "/models"


def test_the_server_fills_less_than_the_limit_of_an_emptydir(program, tmp_path):
    quota = lambda values: effective(program, objects({"cache": values}), tmp_path)["store.quota"]  # noqa: E731
    assert quota({"size": "20Gi"}) == "19GiB"
    assert quota({"size": "500M"}) == "475MB"
    assert quota({"size": ""}) == "none"
    assert quota({"type": "persistentVolumeClaim"}) == "none"


def test_the_program_reads_every_secret_where_the_chart_puts_it(program, tmp_path):
    given = {name: {"name": "vault", "key": name} for name in settings.secret_names()}
    manifests = objects({"secrets": {"existing": given}})
    found = effective(program, manifests, tmp_path)
    for name in ("access.file", "tls.certificate", "tls.key", "remote.gcs.credentials"):
        assert found[name].startswith("/run/sconce/"), name
    variables = {item["name"]: "a-secret" for item in server(manifests)["env"] if "valueFrom" in item}
    ran = subprocess.run([program, "check-config"], env=variables, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    said = [line.split()[0] for line in ran.stdout.splitlines() if line.endswith(tuple(variables))]
    assert {name for name in said} == set(given) - {
        "access.file",
        "tls.certificate",
        "tls.key",
        "remote.gcs.credentials",
    }


# === Probes ===


@pytest.mark.parametrize("mode", MODES)
def test_probes_fit_the_mode(mode):
    container = server(objects({"loadMode": mode, "probes": {"startupSeconds": 900}}))
    startup, readiness, liveness = (container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness"))
    patience = startup["periodSeconds"] * startup["failureThreshold"]
    assert startup["httpGet"]["path"] == ("/health" if mode == "startup" else "/health/live")
    assert patience == (900 if mode == "startup" else 60)
    assert readiness["httpGet"]["path"] == "/health/ready"
    assert liveness["httpGet"]["path"] == "/health/live"
    assert all(probe["timeoutSeconds"] >= 2 for probe in (startup, readiness, liveness))
    deadline = one("Deployment", objects({"loadMode": mode}))["spec"]["progressDeadlineSeconds"]
    assert deadline > (1800 if mode == "startup" else 60)


def probe(running, container, kind):
    """Whether the running server passes a probe of the manifest."""
    return running.ask(container[f"{kind}Probe"]["httpGet"]["path"]).status == 200


@pytest.mark.parametrize("mode", MODES)
def test_the_real_server_passes_its_probes(mode, serve, tmp_path):
    manifests = objects({"loadMode": mode, "config": {"memory": {"budget": "none"}}})
    running = serve({"SCONCE_CONFIG": str(configuration(manifests, tmp_path)), "SCONCE_SERVER__GRACE": "0s"})
    until(lambda: probe(running, server(manifests), "startup"), "started")
    assert probe(running, server(manifests), "readiness") and probe(running, server(manifests), "liveness")
    assert running.stop() == 0


def test_a_server_whose_models_cannot_be_had_is_alive_and_gets_no_requests(serve, tmp_path):
    values = {"loadMode": "startup", "defaultModel": "acme/nano", "models": {"acme/nano": {}}}
    manifests = objects(values)
    running = serve({"SCONCE_CONFIG": str(configuration(manifests, tmp_path))})
    assert probe(running, server(manifests), "liveness")
    assert not probe(running, server(manifests), "startup") and not probe(running, server(manifests), "readiness")
    on_demand = objects({**values, "loadMode": "on_demand"})
    running = serve({"SCONCE_CONFIG": str(configuration(on_demand, tmp_path))})
    assert all(probe(running, server(on_demand), kind) for kind in ("startup", "readiness", "liveness"))


@pytest.mark.parametrize("grace, drain", [(0, 1), (5, 60), (30, 3600)])
def test_the_pod_lives_for_as_long_as_the_server_may_take_to_stop(grace, drain, program, tmp_path):
    manifests = objects({"shutdown": {"graceSeconds": grace, "drainSeconds": drain}})
    found = effective(program, manifests, tmp_path)
    assert seconds(found["server.grace"]) == grace and seconds(found["server.drain"]) == drain
    spec = one("Deployment", manifests)["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] >= grace + drain + 5
    assert "lifecycle" not in spec["containers"][0], "the server has its own grace"


def test_https_reaches_whoever_asks_the_server(program, serve, tmp_path):
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=sconce"]
    subprocess.run([tool("openssl"), *request, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    given = {f"tls.{name}": {"name": "tls", "key": f"tls.{name}"} for name in ("certificate", "key")}
    manifests = objects({"secrets": {"existing": given}, "metrics": {"podMonitor": {"enabled": True}}})
    container = server(manifests)
    assert {container[f"{kind}Probe"]["httpGet"]["scheme"] for kind in ("startup", "readiness", "liveness")} == {
        "HTTPS"
    }
    assert one("Service", manifests)["spec"]["ports"][0]["appProtocol"] == "https"
    assert one("PodMonitor", manifests)["spec"]["podMetricsEndpoints"][0]["scheme"] == "https"
    file = configuration(manifests, tmp_path)
    file.write_text(
        file.read_text().replace("/run/sconce", str(tmp_path)).replace('budget = "auto"', 'budget = "none"')
    )
    running = Server(program, tmp_path, {"SCONCE_CONFIG": str(file)})
    try:
        url = running.url.replace("http:", "https:")
        until(lambda: said_by_helm_test(program, manifests, url) == 0, "healthy over HTTPS")
    finally:
        running.kill()


# === What the other containers run ===


def said_by_helm_test(program, manifests, url):
    """The exit code of the Pod of `helm test`, against a server here."""
    container = one("Pod", manifests)["spec"]["containers"][0]
    assert container["command"] == ["/usr/local/bin/sconce"]
    arguments = [f"--url={url}" if item.startswith("--url=") else item for item in container["args"]]
    return subprocess.run([program, *arguments], env={}, capture_output=True, timeout=60).returncode


def test_the_pod_of_helm_test_tells_a_ready_server_from_another(program, serve):
    manifests = objects({"service": {"port": 8000}})
    assert "--url=http://sconce:8000" in one("Pod", manifests)["spec"]["containers"][0]["args"]
    ready = serve()
    assert said_by_helm_test(program, manifests, ready.url) == 0
    loading = serve({"LOAD_MODE": "startup", "MODEL_ID": "acme/nano"})
    assert said_by_helm_test(program, manifests, loading.url) == 1
    loading.kill()
    assert said_by_helm_test(program, manifests, loading.url) == 1


@pytest.mark.parametrize("names, kind", [([], "configured"), (["acme/nano"], "named")])
def test_the_pull_container_fetches_what_the_server_will_look_for(names, kind, program, hub, tmp_path):
    values = {
        "defaultModel": "acme/nano" if kind == "configured" else "",
        "models": {"acme/nano": {}} if kind == "configured" else {},
        "cache": {"type": "persistentVolumeClaim"},
        "preDownload": {"job": True, "initContainer": True, "models": names},
        "config": {"store": {"endpoint": hub.url}},
    }
    manifests = objects(values)
    pull = one("Job", manifests)["spec"]["template"]["spec"]["containers"][0]
    assert pull == one("Deployment", manifests)["spec"]["template"]["spec"]["initContainers"][0]
    variables = {item["name"]: item["value"] for item in pull["env"]}
    variables["SCONCE_CONFIG"] = str(configuration(manifests, tmp_path))
    variables["SCONCE_STORE__CACHE_DIR"] = str(tmp_path / "hub")
    ran = subprocess.run([program, *pull["args"]], env=variables, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert hub.downloads["acme/nano/model.safetensors"] == 1


def test_a_pull_that_another_try_does_not_mend_is_not_tried_again(program, hub, tmp_path):
    values = {
        "cache": {"type": "persistentVolumeClaim"},
        "preDownload": {"job": True},
        "config": {"store": {"endpoint": hub.url}},
    }
    job = one("Job", objects(values))["spec"]
    rule = job["podFailurePolicy"]["rules"][0]
    assert rule["action"] == "FailJob" and job["template"]["spec"]["restartPolicy"] == "Never"
    codes = rule["onExitCodes"]["values"]

    def pull(*arguments, **more):
        variables = {"HF_ENDPOINT": hub.url, "SCONCE_STORE__CACHE_DIR": str(tmp_path / "hub"), **more}
        return subprocess.run([program, "pull", *arguments], env=variables, capture_output=True, timeout=60).returncode

    assert pull("acme/nothing") in codes, "a source that does not exist"
    hub.token = "hf_secret"
    assert pull("acme/nano") in codes, "a source that is refused"
    assert pull("--no-such-flag") in codes
    assert pull("acme/nano", HF_ENDPOINT="http://127.0.0.1:9", SCONCE_STORE__ATTEMPTS="1") not in codes, (
        "a network that fails"
    )


# === Selectors and roll-outs ===


def matches(selector, labels):
    return bool(selector) and selector.items() <= labels.items()


def test_selectors_take_the_pods_that_serve_and_no_others():
    values = copy.deepcopy(EVERYTHING)
    manifests = objects(values)
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(manifests)}
    assert len(labels) == 3
    spec = one("Deployment", manifests)["spec"]
    selectors = {
        "Deployment": spec["selector"]["matchLabels"],
        "Service": one("Service", manifests)["spec"]["selector"],
        "PodDisruptionBudget": one("PodDisruptionBudget", manifests)["spec"]["selector"]["matchLabels"],
        "PodMonitor": one("PodMonitor", manifests)["spec"]["selector"]["matchLabels"],
        "spread": spec["template"]["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    }
    for name, selector in selectors.items():
        assert [pod for pod, has in labels.items() if matches(selector, has)] == ["sconce"], name
    monitored = objects({"metrics": {"serviceMonitor": {"enabled": True}}})
    selector = one("ServiceMonitor", monitored)["spec"]["selector"]["matchLabels"]
    assert matches(selector, one("Service", monitored)["metadata"]["labels"])


def test_the_network_is_open_for_what_the_pods_do_and_for_helm_test():
    policy = one("NetworkPolicy", objects(EVERYTHING))["spec"]
    component = policy["podSelector"]["matchExpressions"][0]
    assert component["values"] == ["server", "pull"]
    test = one("Pod", objects(EVERYTHING))["metadata"]["labels"]
    assert any(matches(peer.get("podSelector", {}).get("matchLabels"), test) for peer in policy["ingress"][0]["from"])

    def ports(values):
        egress = one("NetworkPolicy", objects(values))["spec"]["egress"]
        return {port["port"] for rule in egress for port in rule["ports"]}

    assert ports(EVERYTHING) == {53, 443, 4318}
    assert ports({"networkPolicy": {"enabled": True}, "config": {"store": {"offline": True}}}) == {53}
    assert "from" not in one("NetworkPolicy", objects({"networkPolicy": {"enabled": True}}))["spec"]["ingress"][0]


BASE = {
    "cache": {"type": "persistentVolumeClaim"},
    "preDownload": {"job": True},
    "secrets": {"values": {"access.keys": "one", "access.file": "[[keys]]"}},
}


def changed(base, path, value):
    values = copy.deepcopy(base)
    at = values
    for key in path[:-1]:
        at = at.setdefault(key, {})
    at[path[-1]] = value
    return values


@pytest.mark.parametrize(
    "path, value, rolls",
    [
        (["config"], {"limits": {"wait": "20s"}}, True),
        (["models"], {"mine": {"source": "gs://bucket/mine"}}, True),
        (["secrets", "values", "access.keys"], "two", True),
        (["secrets", "values", "access.file"], "[[keys]]\n", False),
        (["replicaCount"], 2, False),
        (["service", "annotations"], {"a": "b"}, False),
    ],
)
def test_what_a_pod_read_at_its_start_rolls_it_when_it_changes(path, value, rolls):
    template = lambda values: one("Deployment", objects(values))["spec"]["template"]  # noqa: E731
    assert (template(BASE) != template(changed(BASE, path, value))) is rolls


def test_a_job_is_another_one_exactly_when_it_does_something_else():
    job = lambda values: one("Job", objects(values))  # noqa: E731
    same, other = job(changed(BASE, ["replicaCount"], 3)), job(changed(BASE, ["preDownload", "models"], ["a/b"]))
    assert job(BASE) == same
    assert job(BASE)["metadata"]["name"] != other["metadata"]["name"]
    assert job(changed(BASE, ["podLabels"], {"a": "b"}))["metadata"]["name"] != job(BASE)["metadata"]["name"]


# === Scaling, volumes, devices ===


def test_scaling_looks_at_the_queue_that_the_server_measures(serve):
    running = serve()
    assert running.ask("/predict", RECORDING.read_bytes(), {"Content-Type": "audio/wav"}).status == 200
    metrics = running.ask("/metrics").body.decode()
    hpa = one("HorizontalPodAutoscaler", objects({"autoscaling": {"enabled": True}}))["spec"]
    assert f"# TYPE {hpa['metrics'][0]['pods']['metric']['name']} gauge" in metrics
    scaled = one("ScaledObject", objects({"keda": {"enabled": True}}))["spec"]
    trigger = scaled["triggers"][0]["metadata"]
    assert trigger["query"] == 'sum(sconce_queue_depth{namespace="speech", pod=~"sconce-.*"})'
    for manifests in (objects({"autoscaling": {"enabled": True}}), objects({"keda": {"enabled": True}})):
        assert "replicas" not in one("Deployment", manifests)["spec"], "it would undo what was scaled"


@pytest.mark.parametrize(
    "values, strategy",
    [
        ({}, "RollingUpdate"),
        (ONE_DISK, "Recreate"),
        ({"jobs": {"type": "persistentVolumeClaim"}}, "Recreate"),
        ({"jobs": {"type": "ephemeral"}}, "RollingUpdate"),
        ({"cache": {"type": "persistentVolumeClaim"}}, "RollingUpdate"),
        ({"strategy": {"type": "Recreate"}}, "Recreate"),
    ],
)
def test_a_volume_of_one_node_is_let_go_before_it_is_taken(values, strategy):
    assert one("Deployment", objects(values))["spec"]["strategy"]["type"] == strategy


def test_no_two_pods_share_the_folder_of_jobs():
    def volume(kind):
        spec = one("Deployment", objects({"jobs": {"type": kind}}))["spec"]["template"]["spec"]
        return next((volume for volume in spec["volumes"] if volume["name"] == "jobs"), None)

    assert volume("memory") is None
    assert volume("emptyDir") == {"name": "jobs", "emptyDir": {"sizeLimit": "4Gi"}}
    claim = volume("ephemeral")["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert claim["accessModes"] == ["ReadWriteOnce"] and claim["resources"]["requests"]["storage"] == "4Gi"
    assert volume("persistentVolumeClaim")["persistentVolumeClaim"]["claimName"] == "sconce-jobs"


def test_a_gpu_is_asked_for_where_it_can_be_had():
    spec = one("Deployment", objects({"gpu": {"enabled": True, "count": 2}}))["spec"]["template"]["spec"]
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert spec["containers"][0]["image"].endswith("-cuda")
    assert spec["tolerations"][0]["key"] == "nvidia.com/gpu"
