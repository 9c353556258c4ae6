"""Sconce, Prometheus and Grafana by compose: the file is right, and its parts fit together.

That they run together is not shown here: the images of Prometheus and Grafana come from a registry.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, tool

FILE = ROOT / "deploy/compose/compose.yaml"
COMPOSE = yaml.safe_load(FILE.read_text())
BIN = Path(sys.executable).parent


def services(**environment):
    """As podman-compose understands the file where these variables are set."""
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    tool("podman")
    command = [BIN / "podman-compose", "-f", FILE, "config"]
    ran = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True)
    return yaml.safe_load(ran.stdout)["services"]


def mounts(service):
    """Inside → outside, of the files and folders that a service mounts."""
    parts = [volume.split(":") for volume in COMPOSE["services"][service]["volumes"]]
    return {inside: (FILE.parent / outside).resolve() for outside, inside, *_ in parts if outside.startswith(".")}


def test_it_is_a_compose_file():
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", FILE]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_real_compose_reads_it_and_takes_over_the_environment():
    plain, told = services(), services(LOAD_MODE="startup", MODEL_ID="openai/whisper-tiny")
    assert plain["sconce"]["environment"] == {"LOAD_MODE": "on_demand", "MODEL_ID": "", "HF_TOKEN": ""}
    assert told["sconce"]["environment"] == {"LOAD_MODE": "startup", "MODEL_ID": "openai/whisper-tiny", "HF_TOKEN": ""}
    assert Path(plain["sconce"]["build"]["context"]).resolve() == ROOT


def test_the_server_starts_with_what_it_sets(serve):
    server = serve(services()["sconce"]["environment"])
    assert server.ask("/health").json()["load_mode"] == "on_demand"


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_what_is_mounted_is_there_and_only_read(service):
    assert all(path.exists() for path in mounts(service).values()), mounts(service)
    for volume in COMPOSE["services"][service]["volumes"]:
        assert not volume.startswith(".") or volume.endswith(":ro"), volume
        assert volume.startswith(".") or volume.split(":")[0] in COMPOSE["volumes"], volume


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_nothing_is_open_to_the_network(service):
    assert all(port.startswith("127.0.0.1:") for port in COMPOSE["services"][service]["ports"])


def test_prometheus_takes_its_configuration_as_mounted(tmp_path):
    for inside, outside in mounts("prometheus").items():
        path = tmp_path / inside.removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(outside.read_bytes())
    named = [word for word in COMPOSE["services"]["prometheus"]["command"] if word.startswith("--config.file=")]
    path = tmp_path / named[0].removeprefix("--config.file=/")
    checked = subprocess.run([tool("promtool"), "check", "config", path], capture_output=True, text=True)
    assert checked.returncode == 0 and "1 rule files found" in checked.stdout, checked.stdout + checked.stderr


def test_prometheus_scrapes_the_server():
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    host, port = scraped[0]["static_configs"][0]["targets"][0].split(":")
    assert COMPOSE["services"][host]["ports"][0].split(":")[-1] == port


def test_grafana_finds_prometheus_and_the_dashboard():
    provisioning = mounts("grafana")["/etc/grafana/provisioning"]
    source = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text())["datasources"][0]
    host, port = source["url"].removeprefix("http://").split(":")
    assert source["type"] == "prometheus" and source["isDefault"]
    assert COMPOSE["services"][host]["ports"][0].split(":")[-1] == port

    folder = yaml.safe_load((provisioning / "dashboards/sconce.yaml").read_text())["providers"][0]["options"]["path"]
    home = COMPOSE["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home).parent == Path(folder)
    assert mounts("grafana")[home] == ROOT / "deploy/grafana/sconce.json"
