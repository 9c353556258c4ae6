"""The chart, rendered by the real helm: what the tests of the chart share."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, tool

CHART = ROOT / "charts/sconce"
SCHEMA = CHART / "values.schema.json"
SCENARIOS = {path.stem: path for path in sorted((CHART / "scenarios").glob("*.yaml"))}
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"
"""Whether files that are made from others are written anew instead of compared."""

HELMS = ["helm", "helm3"]
"""Two major versions: what renders the same in both is no accident of one of them."""

CUSTOM = ("monitoring.coreos.com/", "keda.sh/", "gateway.networking.k8s.io/", "external-secrets.io/")
"""Groups of kinds that Kubernetes itself does not have."""

EVERYTHING = {
    "loadMode": "startup",
    "defaultModel": "openai/whisper-base",
    "models": {"openai/whisper-base": {"pinned": True}, "mine": {"source": "gs://bucket/mine", "aliases": ["m", "my"]}},
    "config": {"limits": {"wait": "20s"}, "telemetry": {"sample": 0.25}, "access": {"open_metrics": True}, "wyoming": {"port": 10300}},
    "service": {"ipFamilies": ["IPv6", "IPv4"]},
    "commonLabels": {"team": "speech"},
    "podLabels": {"cost": "centre"},
    "podAnnotations": {"example.com/note": "yes"},
    "imagePullSecrets": [{"name": "registry"}],
    "secrets": {
        "existing": {
            "access.admin_keys": {"name": "keys", "key": "admin"},
            "tls.certificate": {"name": "tls", "key": "tls.crt"},
            "tls.key": {"name": "tls", "key": "tls.key"},
        },
        "external": {"access.file": {"key": "sconce", "property": "keys.toml"}},
        "externalStore": {"name": "vault"},
        "values": {"store.token": 'hf_"quoted"', "jobs.webhook_secret": "s3cret"},
    },
    "cache": {"type": "persistentVolumeClaim", "storageClass": "nfs"},
    "jobs": {"type": "ephemeral", "storageClass": "fast"},
    "preDownload": {"initContainer": True, "job": True, "models": ["openai/whisper-base"]},
    "gpu": {"enabled": True},
    "runtimeClassName": "nvidia",
    "priorityClassName": "high",
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "serviceAccount": {"annotations": {"iam.gke.io/gcp-service-account": "sconce@project.iam.gserviceaccount.com"}},
    "autoscaling": {"enabled": True, "cpuUtilization": 80},
    "podDisruptionBudget": {"enabled": True, "minAvailable": "50%"},
    "networkPolicy": {
        "enabled": True,
        "from": [{"podSelector": {"matchLabels": {"app": "gateway"}}}],
        "extraEgress": [{"ports": [{"port": 4318, "protocol": "TCP"}]}],
    },
    "ingress": {"enabled": True, "className": "nginx", "tls": [{"hosts": ["sconce.local"], "secretName": "web"}]},
    "gateway": {"enabled": True, "hostnames": ["speech.example.com"]},
    "metrics": {
        "labels": {"release": "prometheus"},
        "authorization": {"credentials": {"name": "prometheus-key", "key": "token"}},
        "podMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
    },
    "extraEnv": [{"name": "RUST_BACKTRACE", "value": "1"}],
    "extraEnvFrom": [{"secretRef": {"name": "more"}}],
    "extraVolumes": [{"name": "voices", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "voices", "mountPath": "/voices"}],
}
"""Nearly every template at once."""


KEDA = {key: value for key, value in EVERYTHING.items() if key != "autoscaling"} | {
    "keda": {"enabled": True, "minReplicas": 0, "extraTriggers": [{"type": "cron", "metadata": {"timezone": "UTC"}}]},
    "metrics": {"serviceMonitor": {"enabled": True}},
    "jobs": {"type": "emptyDir"},
    "cache": {"type": "hostPath"},
}
ONE_DISK = {
    "loadMode": "background",
    "cache": {"type": "persistentVolumeClaim", "accessMode": "ReadWriteOnce", "existingClaim": "models"},
    "jobs": {"type": "persistentVolumeClaim"},
}

VALUES = {
    "defaults": ({}, []),
    **{name: ({}, [path]) for name, path in SCENARIOS.items()},
    "everything": (EVERYTHING, []),
    "keda": (KEDA, []),
    "one disk": (ONE_DISK, []),
}
"""(values, files under them) to try everything with."""


class Refused(Exception):
    """What helm says of values that it does not take."""


def helm(*arguments, program="helm", text=None):
    """What helm prints."""
    ran = subprocess.run([tool(program), *map(str, arguments)], input=text, capture_output=True, text=True, timeout=60)
    if ran.returncode != 0:
        raise Refused(ran.stderr.strip())
    return ran.stdout


def render(values=None, *files, program="helm", options=()):
    """The manifests as text. Values are a table; files are laid under it."""
    sources = [part for file in files for part in ("-f", file)] + ["-f", "-"]
    arguments = ["template", "sconce", CHART, "--namespace", "speech", *sources, *options]
    return helm(*arguments, program=program, text=json.dumps(values or {}))


def objects(values=None, *files, program="helm"):
    """The manifests, parsed. A key that is given twice is a fault."""
    return parsed(render(values, *files, program=program))


def parsed(text):
    return [found for found in yaml.load_all(text, Loader=Strict) if found]


def one(kind, manifests, component=None):
    """The only object of a kind, perhaps of a component."""
    labels = lambda found: found["metadata"].get("labels", {})  # noqa: E731
    matching = [
        found
        for found in manifests
        if found["kind"] == kind and component in (None, labels(found).get("app.kubernetes.io/component"))
    ]
    assert len(matching) == 1, f"{len(matching)} of kind {kind}"
    return matching[0]


def kinds(manifests):
    return sorted(found["kind"] for found in manifests)


def pods(manifests):
    """(name, template) of everything that becomes a Pod."""
    for found in manifests:
        if found["kind"] == "Pod":
            yield found["metadata"]["name"], found
        elif found["kind"] in ("Deployment", "Job"):
            yield found["metadata"]["name"], found["spec"]["template"]


def server(manifests):
    """The container that serves."""
    return one("Deployment", manifests)["spec"]["template"]["spec"]["containers"][0]


def schema():
    return json.loads(SCHEMA.read_text())


def golden(path: Path, text):
    """Holds a file that is made from others against what it should be."""
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    hint = f"{path.relative_to(ROOT)} is not as it would be made now; if the change is meant, run with UPDATE_GOLDEN=1"
    if not path.exists() or path.read_text() != text:
        pytest.fail(f"{hint}\n{difference(path, text)}", pytrace=False)


def difference(path, text):
    had = path if path.exists() else "/dev/null"
    return subprocess.run(["diff", "-u", had, "-"], input=text, capture_output=True, text=True).stdout[:4000]


class Strict(yaml.CSafeLoader):
    """YAML as Kubernetes' own tools read it: no key twice."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        double = {key for key in keys if keys.count(key) > 1}
        assert not double, f"given twice: {double} at line {node.start_mark.line + 1}"
        return super().construct_mapping(node, deep)


# To Kubernetes "=" is text; only PyYAML takes it for the "value" of YAML 1.1.
Strict.add_constructor("tag:yaml.org,2002:value", Strict.construct_yaml_str)
