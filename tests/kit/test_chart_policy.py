"""The Pods of the chart are as little as they can be: the restricted profile, and what another tool thinks."""

import json
import subprocess

import pytest
from chart import CHART, HELMS, ONE_DISK, SCENARIOS, VALUES, Refused, objects, one, pods, render
from conftest import tool

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
"""Kinds of volumes that the restricted profile allows."""


def unrestricted(pod):
    """What of a Pod the restricted profile forbids, after the page on Pod Security Standards."""
    spec = pod["spec"]
    own = spec.get("securityContext", {})
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield name
    for volume in spec.get("volumes", []):
        if not (set(volume) - {"name"}) <= VOLUMES:
            yield f"volume {volume['name']}"
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        context = container.get("securityContext", {})
        either = lambda key: context.get(key, own.get(key))  # noqa: B023, E731
        if context.get("privileged"):
            yield "privileged"
        if context.get("allowPrivilegeEscalation") is not False:
            yield "allowPrivilegeEscalation"
        if either("runAsNonRoot") is not True or either("runAsUser") == 0:
            yield "root"
        if context.get("capabilities", {}).get("drop") != ["ALL"] or context["capabilities"].get("add"):
            yield "capabilities"
        if (either("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield "seccompProfile"
        if context.get("readOnlyRootFilesystem") is not True:
            yield "a root that can be written"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield "hostPort"


@pytest.mark.parametrize("name", [name for name in VALUES if name != "keda"])
def test_every_pod_is_restricted(name):
    values, files = VALUES[name]
    found = list(pods(objects(values, *files)))
    assert len(found) >= 2
    for pod_name, pod in found:
        assert list(unrestricted(pod)) == [], pod_name


def test_a_folder_of_the_node_is_not_restricted_as_the_values_say():
    pod = one("Deployment", objects({"cache": {"type": "hostPath"}}))["spec"]["template"]
    assert list(unrestricted(pod)) == ["volume cache"]
    assert "restricted profile of Pod Security forbids it" in (CHART / "values.yaml").read_text().replace("\n  # ", " ")


def test_what_is_not_restricted_would_be_noticed():
    pod = one(
        "Deployment", objects({"podSecurityContext": {"runAsNonRoot": False}, "securityContext": {"privileged": True}})
    )
    assert {"privileged", "root"} <= set(unrestricted(pod["spec"]["template"]))


def test_no_pod_gets_a_token_of_the_cluster_unless_asked():
    for _, pod in pods(objects(ONE_DISK)):
        assert pod["spec"]["automountServiceAccountToken"] is False


MEANT = {
    "CKV_K8S_11": "a limit of CPUs stops a model in the middle of a step; who wants one sets it",
    "CKV_K8S_21": "manifests name no namespace: they go where helm is told to install",
    "CKV_K8S_35": "tokens come as variables: a process that reads them once needs no file",
    ("CKV_K8S_8", "Pod"): "the Pod of `helm test` ends by itself",
    ("CKV_K8S_9", "Pod"): "the Pod of `helm test` serves nobody",
}
"""What the other tool would have otherwise, and why it is so."""


def test_another_tool_finds_nothing_that_is_not_meant(tmp_path):
    image = {"image": {"digest": "sha256:" + "0" * 64, "pullPolicy": "Always"}}
    for name, (values, files) in VALUES.items():
        if name != "keda":
            (tmp_path / f"{name}.yaml").write_text(render(values | image, *files))
    command = [tool("checkov"), "-d", tmp_path, "--framework", "kubernetes", "--skip-download", "--quiet", "-o", "json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    report = json.loads(ran.stdout)
    assert report["summary"]["passed"] > 500 and report["summary"]["parsing_errors"] == 0, report["summary"]
    surprises = [
        (failed["check_id"], failed["check_name"], failed["resource"])
        for failed in report["results"]["failed_checks"]
        if not {failed["check_id"], (failed["check_id"], failed["resource"].split(".")[0])} & set(MEANT)
    ]
    assert not surprises, surprises


@pytest.mark.parametrize("program", HELMS)
def test_an_older_cluster_is_refused(program):
    with pytest.raises(Refused, match="incompatible with Kubernetes"):
        render({}, SCENARIOS["cpu-on-demand"], program=program, options=["--kube-version", "1.28.0"])
    assert render({}, program=program, options=["--kube-version", "1.29.0"])
