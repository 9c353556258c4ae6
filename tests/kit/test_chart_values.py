"""Values: wrong ones are refused with a word that helps, and whatever the schema allows makes manifests."""

import json
import subprocess

import jsonschema
import pytest
from allowed import Allowed
from chart import CHART, HELMS, Refused, helm, one, parsed, render, schema
from test_chart import KINDS, VERSIONS, check

WRONG = [
    ({"loadMode": "lazy"}, "loadMode.*(startup|one of)"),
    ({"replicaCount": -1}, "replicaCount.*0"),
    ({"replicas": 3}, "replicas"),
    ({"image": {"repository": "Registry/Sconce"}}, "repository"),
    ({"image": {"digest": "sha256:abc"}}, "digest.*sha256"),
    ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy.*IfNotPresent"),
    ({"models": {"mine": {"source": "/folder"}}}, "source"),
    ({"models": {"mine": {"source": "gs://Models/mine"}}}, "source"),
    ({"models": {"mine": {"preloaded": True}}}, "preloaded"),
    ({"models": {"two words": {}}}, "two words"),
    ({"models": {"what?": {}}}, r"what\?"),
    ({"models": {"a/b/c": {}}}, "a/b/c"),
    ({"config": {"limits": {"wiat": "20s"}}}, "wiat"),
    ({"config": {"limits": {"wait": "soon"}}}, "wait"),
    ({"config": {"runtime": {"queue": 0}}}, "queue.*1"),
    ({"config": {"server": {"port": 9000}}}, "server.*port"),
    ({"config": {"server": {"grace": "1m"}}}, "server.*grace"),
    ({"config": {"store": {"cache_dir": "/models"}}}, "store.*cache_dir"),
    ({"config": {"jobs": {"dir": "/jobs"}}}, "jobs.*dir"),
    ({"config": {"store": {"token": "hf_secret"}}}, "store.*token"),
    ({"config": {"access": {"keys": "secret"}}}, "access.*keys"),
    ({"config": {"metric": {}}}, "metric"),
    ({"secrets": {"values": {"hf-token": "hf_secret"}}}, "hf-token"),
    ({"secrets": {"existing": {"store.token": {"name": "hub"}}}}, "store.token.*key|key is required"),
    ({"cache": {"type": "nfs"}}, "cache.*type.*emptyDir"),
    ({"cache": {"size": "20 GB"}}, "size"),
    ({"cache": {"type": "persistentVolumeClaim", "size": ""}}, "size"),
    ({"cache": {"accessMode": "ReadOnlyMany"}}, "accessMode.*ReadWriteMany"),
    ({"cache": {"mountPath": "cache"}}, "mountPath"),
    ({"jobs": {"type": "disk"}}, "jobs.*type.*ephemeral"),
    ({"service": {"containerPort": 80}}, "containerPort.*1,?024"),
    ({"service": {"type": "Ingress"}}, "service.*type.*ClusterIP"),
    ({"service": {"ipFamilyPolicy": "DualStack"}}, "ipFamilyPolicy.*PreferDualStack"),
    ({"service": {"ipFamilies": ["IPv4", "IPv4"]}}, "ipFamilies"),
    ({"config": {"wyoming": {"port": 70000}}}, "wyoming.*port"),
    ({"shutdown": {"drainSeconds": 0}}, "drainSeconds.*1"),
    ({"probes": {"startupSeconds": "1h"}}, "startupSeconds.*(integer|Integer)"),
    ({"strategy": {"type": "Rolling"}}, "strategy"),
    ({"resources": {"limit": {"memory": "1Gi"}}}, "limit"),
    ({"resources": {"limits": {"memory": "lots"}}}, "memory"),
    ({"gpu": {"count": 0}}, "count.*1"),
    ({"autoscaling": {"enabled": True, "queueDepth": None}}, "autoscaling"),
    ({"podDisruptionBudget": {"minAvailable": "half"}}, "minAvailable"),
    ({"ingress": {"hosts": [{"host": "a.example", "paths": []}]}}, "paths"),
    ({"gateway": {"paths": ["v1"]}}, "paths"),
    ({"metrics": {"interval": "15"}}, "interval"),
    ({"metrics": {"prometheusRule": {"runbookUrl": "docs"}}}, "runbookUrl"),
    ({"commonLabels": {"app.kubernetes.io/name": "other"}}, "app.kubernetes.io/name"),
    ({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone"}]}, "whenUnsatisfiable"),
    ({"extraEnv": [{"name": "SCONCE_CONFIG", "value": "/x"}]}, "extraEnv"),
    ({"extraVolumes": [{"name": "cache", "emptyDir": {}}]}, "extraVolumes"),
]

TOGETHER = [
    ({"autoscaling": {"enabled": True}, "keda": {"enabled": True}}, "both set the number of replicas"),
    ({"autoscaling": {"enabled": True, "minReplicas": 5}}, "autoscaling.minReplicas is more than"),
    ({"keda": {"enabled": True, "minReplicas": 5}}, "keda.minReplicas is more than"),
    ({"keda": {"enabled": True, "minReplicas": 0}}, "keda.extraTriggers"),
    ({"preDownload": {"job": True}}, "preDownload.job needs a cache that outlives its Pod"),
    ({"jobs": {"type": "persistentVolumeClaim"}, "replicaCount": 2}, "for one replica"),
    ({"jobs": {"type": "persistentVolumeClaim"}, "strategy": {"type": "RollingUpdate"}}, "has to be Recreate"),
    ({"secrets": {"existing": {"tls.key": {"name": "tls", "key": "tls.key"}}}}, "HTTPS needs both"),
    ({"service": {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6", "IPv4"]}}, "ipFamilies names two"),
    ({"config": {"wyoming": {"port": 0}}}, "config.wyoming.port is 0"),
    ({"config": {"wyoming": {"port": 8080}}}, "config.wyoming.port is 8080, which service.port or"),
    ({"secrets": {"external": {"store.token": {"key": "sconce"}}}}, "secrets.externalStore.name"),
    (
        {"secrets": {"values": {"store.token": "a"}, "existing": {"store.token": {"name": "b", "key": "c"}}}},
        "store.token is given twice",
    ),
    ({"metrics": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}}, "twice; enable one"),
    (
        {"metrics": {"serviceMonitor": {"enabled": True}}, "secrets": {"values": {"access.keys": "k"}}},
        "metrics.authorization, or set config.access.open_metrics",
    ),
]


@pytest.mark.parametrize("program", HELMS)
@pytest.mark.parametrize("values, word", WRONG, ids=lambda value: str(value)[:60])
def test_a_wrong_value_is_refused_by_the_schema(values, word, program):
    with pytest.raises(Refused, match=word) as refused:
        render(values, program=program)
    assert "values don't meet the specifications of the schema" in str(refused.value)


@pytest.mark.parametrize("program", HELMS)
@pytest.mark.parametrize("values, word", TOGETHER, ids=lambda value: str(value)[:60])
def test_values_that_do_not_go_together_are_refused(values, word, program):
    with pytest.raises(Refused, match=f"values: .*{word}"):
        render(values, program=program)


SAMPLES = {
    "podSecurityContext": [{}, {"runAsUser": 1000, "runAsNonRoot": True}],
    "securityContext": [{}, {"readOnlyRootFilesystem": True}],
    "affinity": [{}, {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}],
    "tolerations": [[], [{"key": "dedicated", "operator": "Exists"}]],
    "claims": [[], [{"name": "gpu"}]],
    "from": [[], [{"namespaceSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]],
    "extraEgress": [[], [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]],
    "extraEnvFrom": [[], [{"secretRef": {"name": "more"}}]],
    "extraVolumes": [[], [{"name": "voices", "emptyDir": {}}]],
    "extraVolumeMounts": [[], [{"name": "voices", "mountPath": "/voices"}]],
    "behavior": [{}, {"scaleUp": {"stabilizationWindowSeconds": 0}}],
    "valueFrom": [{"fieldRef": {"fieldPath": "metadata.name"}}],
    "extraTriggers": [[], [{"type": "cron", "metadata": {"timezone": "UTC", "desiredReplicas": "1"}}]],
    "query": ["sum(sconce_queue_depth)", 'sum(up{job="{{ .Release.Name }}"})'],
    "global": [{}],
    # More of what can be on is, and less of what does not go together.
    "enabled": [True, False],
    "minReplicas": [1, 2],
    "maxReplicas": [2, 10000],
    "serviceMonitor": [{}, {"enabled": True}],
    "podMonitor": [{}, {}, {"enabled": True}],
    "externalStore": [{"kind": "SecretStore", "name": "vault", "refreshInterval": "1h"}],
}
"""What goes through the chart as it is belongs to Kubernetes: its own grammar would be larger than the chart's."""


TOGETHER_IN_THE_SERVER = [
    "retry.max_delay is shorter than retry.first_delay",
    "limits.max_bodies is less than limits.max_body",
    "http.predict_route is the same path",
    "needs tls.",
    # The catalog's: what there is depends on the program, and on the other models.
    "there is no family",
    "there is no preset of that name",
    "the default model is unknown",
    "already names",
    "is configured twice",
    "its fallback is unknown",
    "has a source, and parts",
    "cannot be put together of",
    "has no one revision",
    # A pattern that said all of what an address is would be one that nobody reads.
    "its source is wrong",
    "the source of its part",
    "is no revision",
    # Whether a file is there is for the machine to say that it is on.
    "cannot be read: No such file or directory",
]
"""Faults that are about several settings at once, or about the machine: the server's to find."""


def test_whatever_the_schema_allows_makes_manifests_and_a_configuration(program, tmp_path):
    rendered = [drawn for seed in range(80) if (drawn := manifests_of(Allowed(schema(), SAMPLES, seed).value()))]
    assert len(rendered) >= 20, "too few of the values could be used together"
    assert len({found["kind"] for drawn in rendered for found in drawn}) > len(KINDS) / 2
    for drawn in rendered:
        for found in drawn:
            check(found, VERSIONS[-1:])
        file = tmp_path / "sconce.toml"
        file.write_text(one("ConfigMap", drawn)["data"]["sconce.toml"])
        command = [program, "check-config", "--config", file]
        ran = subprocess.run(command, env={}, capture_output=True, text=True, timeout=60)
        first, *faults = ran.stderr.splitlines() or [""]
        surprises = [fault for fault in faults if not any(word in fault for word in TOGETHER_IN_THE_SERVER)]
        assert ran.returncode == (2 if faults else 0) and not surprises, f"{first} {surprises}\n{file.read_text()}"


def manifests_of(values):
    """Nothing, if the values do not go together."""
    text = json.dumps(values, ensure_ascii=False)
    jsonschema.Draft7Validator(schema()).validate(values)
    try:
        return parsed(helm("template", "sconce", CHART, "-n", "speech", "-f", "-", text=text))
    except Refused as refused:
        assert "values: " in str(refused), f"{refused}\n{text}"
        return []
