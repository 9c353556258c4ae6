"""The chart: it renders, every manifest is one, and what it renders is as it was reviewed."""

import functools
import re
import shlex
import tarfile

import crds
import jsonschema
import kubernetes_validate
import pytest
import settings
import yaml
from chart import (
    CHART,
    CUSTOM,
    EVERYTHING,
    HELMS,
    KEDA,
    ONE_DISK,
    SCENARIOS,
    SCHEMA,
    VALUES,
    golden,
    helm,
    kinds,
    objects,
    one,
    parsed,
    pods,
    render,
    schema,
    server,
)
from conftest import ROOT

# Otherwise it reads megabytes anew for every object.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)

GOLDEN = ROOT / "tests/kit/golden"
VERSIONS = ["1.29", "1.34"]
"""Of Kubernetes: the oldest that Chart.yaml allows, and a recent one."""

KINDS = {re.search(r"^kind: (\w+)", path.read_text(), re.M)[1] for path in (CHART / "templates").rglob("*.yaml")}
"""All that the chart can make."""


def check(found, versions=VERSIONS):
    """Every field is known to the API, and has the right type."""
    if found["apiVersion"].startswith(CUSTOM):
        crds.check(found)
    else:
        for version in versions:
            kubernetes_validate.validate(found, version, strict=True)


@pytest.mark.parametrize("program", HELMS)
def test_lint_has_nothing_to_say(program):
    helm("lint", "--strict", CHART, program=program)
    for scenario in SCENARIOS.values():
        helm("lint", "--strict", CHART, "-f", scenario, program=program)


@pytest.mark.parametrize("program", HELMS)
@pytest.mark.parametrize("name", VALUES)
def test_every_manifest_is_one(name, program):
    values, files = VALUES[name]
    manifests = objects(values, *files, program=program)
    assert {"Deployment", "Service", "ServiceAccount", "ConfigMap", "Pod"} <= set(kinds(manifests))
    names = [(found["kind"], found["metadata"]["name"]) for found in manifests]
    assert len(names) == len(set(names)), "two objects of one name"
    for found in manifests:
        check(found)


def test_a_misspelt_field_would_be_noticed():
    manifests = objects({}, SCENARIOS["shared-cache"])
    one("Deployment", manifests)["spec"]["template"]["spec"]["containers"][0]["imagePullPolicie"] = "Never"
    one("HTTPRoute", manifests)["spec"]["rules"][0]["timeout"] = "1s"
    with pytest.raises(kubernetes_validate.ValidationError, match="imagePullPolicie"):
        check(one("Deployment", manifests))
    with pytest.raises(jsonschema.ValidationError, match="timeout"):
        check(one("HTTPRoute", manifests))


@pytest.mark.parametrize("program", HELMS)
@pytest.mark.parametrize("name", ["defaults", *SCENARIOS])
def test_a_scenario_renders_as_it_was_reviewed(name, program):
    values, files = VALUES[name]
    # The rules are a file of their own, and reviewed as such.
    rules = re.compile(r"---\n# Source: sconce/templates/prometheusrule\.yaml\n.*?(?=^---\n|\Z)", re.S | re.M)
    golden(GOLDEN / f"{name}.yaml", rules.sub("", render(values, *files, program=program)))


def test_the_operator_gets_the_rules_that_prometheus_gets():
    manifests = objects({"metrics": {"prometheusRule": {"enabled": True}}})
    # But for where a runbook is read: see below.
    rules = (CHART / "files/rules.yaml").read_text().replace("runbook: docs/", "runbook: http://sconce.speech.svc:80/docs/")
    assert one("PrometheusRule", manifests)["spec"] == yaml.safe_load(rules)


@pytest.mark.parametrize(
    "more, base",
    [
        # The page of the server itself, or wherever somebody says.
        ({}, "http://sconce.speech.svc:80/"),
        ({"service": {"port": 8000}}, "http://sconce.speech.svc:8000/"),
        ({"tls": {"certificate": "/tls/tls.crt", "key": "/tls/tls.key"}}, "https://sconce.speech.svc:80/"),
        ({"runbookUrl": "https://github.com/OWNER/sconce/blob/v0.1.0/"}, "https://github.com/OWNER/sconce/blob/v0.1.0/"),
    ],
)
def test_the_runbook_of_an_alert_is_an_address(more, base):
    more = dict(more)
    rule = {"enabled": True} | ({"runbookUrl": more.pop("runbookUrl")} if "runbookUrl" in more else {})
    config = {"config": {"tls": more.pop("tls")}} if "tls" in more else {}
    groups = one("PrometheusRule", objects({"metrics": {"prometheusRule": rule}} | more | config))["spec"]["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert len(alerts) > 5
    for alert in alerts:
        assert alert["annotations"]["runbook"] == f"{base}docs/OPERATIONS.md#{alert['alert'].lower()}"


def ports(manifests):
    """Of the container, of the Service and of the NetworkPolicy, by name."""
    service = one("Service", manifests)["spec"]["ports"]
    policy = one("NetworkPolicy", manifests)["spec"]["ingress"][0]["ports"]
    container = server(manifests)["ports"]
    return (
        {port["name"]: port["containerPort"] for port in container},
        {port["name"]: (port["port"], port["targetPort"]) for port in service},
        [port["port"] for port in policy],
    )


@pytest.mark.parametrize("program", HELMS)
def test_wyoming_has_a_port_where_it_is_configured(program):
    closed = {"networkPolicy": {"enabled": True}}
    for wyoming in ({}, {"port": "none"}):
        found = ports(objects(closed | {"config": {"wyoming": wyoming}}, program=program))
        assert found == ({"http": 8080}, {"http": (80, "http")}, ["http"])
    found = ports(objects(closed | {"config": {"wyoming": {"port": 10300}}}, program=program))
    service = {"http": (80, "http"), "wyoming": (10300, "wyoming")}
    assert found == ({"http": 8080, "wyoming": 10300}, service, ["http", "wyoming"])


def test_a_service_has_addresses_of_both_families_where_the_cluster_has_both():
    def service(values):
        return one("Service", objects({"service": values}))["spec"]

    assert service({})["ipFamilyPolicy"] == "PreferDualStack" and "ipFamilies" not in service({})
    both = service({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]})
    assert (both["ipFamilyPolicy"], both["ipFamilies"]) == ("RequireDualStack", ["IPv6", "IPv4"])
    # The server listens on both of itself.
    assert "host" not in one("ConfigMap", objects({}))["data"]["sconce.toml"]


def test_everything_that_can_be_asked_for_is_rendered():
    assert KINDS == set(kinds(objects(EVERYTHING)) + kinds(objects(KEDA)) + kinds(objects(ONE_DISK)))


def test_the_schema_of_the_values_follows_the_settings():
    golden(SCHEMA, settings.completed(schema()))


def test_every_value_is_in_the_schema_and_in_the_values():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(schema()["properties"]) - {"global"} == set(values)
    open_ended = ("config", "models", "values", "existing", "external", "annotations", "authorization", "behavior")

    def compare(part, rules, path):
        for key, rule in rules.get("properties", {}).items():
            where = f"{path}.{key}"
            if key in open_ended or "$ref" in rule or not isinstance(part.get(key), dict):
                assert key in part, f"values.yaml does not show {where}"
            else:
                compare(part[key], rule, where)

    for key, rule in schema()["properties"].items():
        if key not in (*open_ended, "global", "strategy") and isinstance(values[key], dict):
            compare(values[key], rule, key)


def test_every_secret_setting_can_be_given_and_comes_from_where_it_was_said():
    names = settings.secret_names()
    given = {name: {"name": "vault", "key": f"of.{name}"} for name in names}
    manifests = objects({"secrets": {"existing": given}})
    spec = one("Deployment", manifests)["spec"]["template"]["spec"]
    variables = {
        item["name"]: item["valueFrom"]["secretKeyRef"] for item in spec["containers"][0]["env"] if "valueFrom" in item
    }
    volume = next(volume for volume in spec["volumes"] if volume["name"] == "secrets")
    files = {source["secret"]["items"][0]["key"] for source in volume["projected"]["sources"]}
    for name in names:
        variable = variables.get(f"SCONCE_{name.upper().replace('.', '__')}")
        assert variable == {"name": "vault", "key": f"of.{name}"} or f"of.{name}" in files, name
    assert "Secret" not in kinds(manifests)


def test_no_secret_is_in_a_configmap():
    text = yaml.safe_dump(one("ConfigMap", objects(EVERYTHING)))
    assert "hf_" not in text and "s3cret" not in text
    secret = one("Secret", objects(EVERYTHING))
    assert secret["stringData"] == EVERYTHING["secrets"]["values"]


@pytest.mark.parametrize("program", HELMS)
def test_the_package_holds_the_chart_and_nothing_else(program, tmp_path):
    helm("package", CHART, "--destination", tmp_path, program=program)
    with tarfile.open(next(tmp_path.glob("sconce-*.tgz"))) as package:
        names = {name.removeprefix("sconce/") for name in package.getnames()}
    assert {
        "Chart.yaml",
        "values.yaml",
        "values.schema.json",
        "README.md",
        "templates/NOTES.txt",
        "files/rules.yaml",
    } <= names
    assert not [name for name in names if name.startswith("scenarios") or "golden" in name or ".git" in name]
    shipped = {path.relative_to(CHART).as_posix() for path in CHART.rglob("*") if path.is_file()}
    assert names == {name for name in shipped if not name.startswith("scenarios/") and name != ".helmignore"} | (
        names & {".helmignore"}
    )


def test_the_notes_say_what_to_do_next():
    def notes(values):
        said = helm(
            "install", "sconce", CHART, "--dry-run=client", "-n", "speech", "-f", "-", text=yaml.safe_dump(values)
        )
        return said.split("NOTES:")[1]

    on_demand = notes({})
    assert "rollout status deployment/sconce" in on_demand and "helm -n speech test sconce" in on_demand
    assert "POST http://localhost:8080/download-models" in on_demand and "Nobody is asked for a key" in on_demand
    startup = notes({"loadMode": "startup", "replicaCount": 2, "secrets": {"values": {"access.keys": "k"}}})
    assert "Pods become ready when" in startup and "Authorization: Bearer $KEY" in startup
    assert "Each Pod fetches its models for itself" in startup and "sessionAffinity" in startup


def test_names_stay_within_what_kubernetes_takes():
    long = "a" * 53
    for found in parsed(helm("template", long, CHART, "-f", SCENARIOS["shared-cache"])):
        assert len(found["metadata"]["name"]) <= 63 + len("-external")
        check(found)
    for _, pod in pods(parsed(helm("template", long, CHART, "-f", SCENARIOS["shared-cache"]))):
        assert all(len(value) <= 63 for value in pod["metadata"]["labels"].values())


INSTALLS = ["README.md", "docs/kubernetes.md", "charts/sconce/README.md"]
"""Pages that install the chart."""


def installs(page):
    """What a page gives to `helm install` for this chart, as the shell would."""
    blocks = re.findall(r"^```sh\n(.+?)^```", page.read_text(), re.M | re.S)
    text = "\n".join([*blocks, *re.findall(r"`(helm install [^`\n]+)`", page.read_text())]).replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in text.splitlines() if "helm install" in line]
    return [words[words.index("install") + 1 :] for words in lines]


@pytest.mark.parametrize("name", INSTALLS)
def test_what_a_page_installs_renders(monkeypatch, name):
    monkeypatch.chdir(ROOT)
    found = [words for words in installs(ROOT / name) if not any("…" in word for word in words)]
    assert found
    for release, chart, *options in found:
        rendered = parsed(helm("template", release, chart, *(word for word in options if word != "--create-namespace")))
        (image,) = {container["image"] for _, pod in pods(rendered) for container in pod["spec"]["containers"]}
        assert image.startswith("registry.example.com/sconce:0.1.0"), image
        # A key that is misspelt, the schema refuses; what a page turns off is not there.
        assert kinds(rendered).count("Deployment") == 1
