"""Rules, metrics, the scrape and the runbook, by Prometheus' own tools."""

import os
import re
import subprocess

import pytest
import yaml
from conftest import RECORDING, ROOT, tool
from server import ask, free_port, until

RULES = ROOT / "charts/sconce/files/rules.yaml"
PROMETHEUS = ROOT / "deploy/prometheus"
ALL = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in ALL if "alert" in rule]
WAV = {"Content-Type": "audio/wav"}


def promtool(*arguments, **options):
    return subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, **options)


def test_the_rules_are_right():
    checked = promtool("check", "rules", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_rules_fire_when_they_should_and_only_then():
    tested = promtool("test", "rules", PROMETHEUS / "rules.test.yaml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_has_a_case_that_fires_and_every_record_one_that_counts():
    cases = yaml.safe_load((PROMETHEUS / "rules.test.yaml").read_text())["tests"]
    fire = {alert["alertname"] for case in cases for alert in case.get("alert_rule_test", []) if "exp_alerts" in alert}
    count = {re.search(r"sconce:[\w:]+", one["expr"])[0] for case in cases for one in case.get("promql_expr_test", [])}
    assert fire == {alert["alert"] for alert in ALERTS}
    assert count == {rule["record"] for rule in ALL if "record" in rule}


def test_the_metrics_of_a_server_with_traffic_are_well_formed(serve):
    server = serve()
    recording = RECORDING.read_bytes()
    assert server.ask("/predict", recording, WAV).status == 200
    assert server.ask("/predict", b"no sound", WAV).status == 400
    job = server.ask("/v1/jobs", recording, WAV).json()["id"]
    until(lambda: server.ask(f"/v1/jobs/{job}").json()["status"] == "succeeded", "a finished job")
    checked = promtool("check", "metrics", input=server.ask("/metrics").body.decode())
    assert checked.returncode == 0 and not checked.stdout + checked.stderr, checked.stdout + checked.stderr


def test_prometheus_scrapes_a_server_as_configured(serve, tmp_path):
    """By the shipped file: only the name of the host is another."""
    server, port = serve(), free_port()
    configuration = (PROMETHEUS / "prometheus.yml").read_text().replace("sconce:8080", f"127.0.0.1:{server.port}")
    (tmp_path / "prometheus.yml").write_text(configuration.replace("15s", "1s"))
    (tmp_path / "rules.yaml").write_text(RULES.read_text())
    with (tmp_path / "prometheus.log").open("w") as log:
        prometheus = subprocess.Popen(
            [
                tool("prometheus"),
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    api = f"http://127.0.0.1:{port}/api/v1"

    def healthy():
        targets = ask(f"{api}/targets").json()["data"]["activeTargets"]
        return [target["labels"]["job"] for target in targets if target["health"] == "up"] == ["sconce"]

    def evaluated():
        groups = ask(f"{api}/rules").json()["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return len(rules) == len(ALL) and {rule["health"] for rule in rules} == {"ok"}

    try:
        until(lambda: ask(f"http://127.0.0.1:{port}/-/ready").status == 200, "ready")
        until(healthy, "a scrape without a fault")
        until(evaluated, "every rule evaluated without a fault")
    finally:
        prometheus.kill()
        prometheus.wait()


# === The runbook ===


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_what_happened_and_what_to_read(alert):
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    page, anchor = alert["annotations"]["runbook"].split("#")
    assert anchor == alert["alert"].lower()
    assert f"### {alert['alert']}\n" in (ROOT / page).read_text()


def runbook():
    """Alert → its section."""
    text = (ROOT / "docs/OPERATIONS.md").read_text().split("\n## Runbook\n")[1].split("\n## ")[0]
    return dict(re.findall(r"\n### (\w+)\n(.+?)(?=\n### |\Z)", text, re.DOTALL))


def test_every_page_of_the_runbook_is_of_an_alert_and_says_what_to_do():
    assert list(runbook()) == [alert["alert"] for alert in ALERTS]
    for name, text in runbook().items():
        for part in ("**Means**", "**Look**", "**Do**", "**Ignore**"):
            assert part in text, f"{name} lacks {part}"


def test_every_command_of_the_runbook_that_asks_a_server_gets_an_answer(serve, hub):
    """From one that has served, refused and failed."""
    tool("jq")
    server = serve({"HF_ENDPOINT": hub.url, "MODEL_ID": "acme/nano"})
    recording = RECORDING.read_bytes()
    assert server.ask("/predict?wait=0", recording, WAV).status == 503
    assert server.ask("/predict", recording, WAV).status == 200
    assert server.ask("/predict?model=openai/whisper-tiny", recording, WAV).status == 503
    commands = re.findall(r"^curl .+", "\n".join(runbook().values()), re.MULTILINE)
    assert len(commands) > len(ALERTS)
    for command in commands:
        environment = {"PATH": os.environ["PATH"], "S": server.url}
        command = command.replace("NAME", "acme/nano")
        ran = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0 and ran.stdout, f"{command}: {ran.stdout}{ran.stderr}"
