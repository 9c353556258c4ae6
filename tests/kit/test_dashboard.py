"""The dashboard: made freshly, well formed, and each of its queries gives data of a real server."""

import json
import re
import subprocess
import sys
import threading
from contextlib import ExitStack
from math import isnan

import pytest
from conftest import EMBEDDED, RECORDING, ROOT
from hub import Hub
from prometheus import Prometheus
from server import Server, until

GRAFANA = ROOT / "deploy/grafana"
RULES = ROOT / "charts/sconce/files/rules.yaml"
DASHBOARD = json.loads((GRAFANA / "sconce.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = {
    f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]
}
KEY = {"Authorization": "Bearer one-key"}
SETTINGS = {
    "SCONCE_ACCESS__ADMIN_KEYS": "one-key",
    "SCONCE_ACCESS__OPEN_METRICS": "true",
    "SCONCE_MODELS__ONLY_CONFIGURED": "false",
    "MODEL_ID": "acme/nano",
}

RARE = {"sconce_jobs_requeued_total", "sconce_jobs_webhooks_total"}
"""What no server says before a job was interrupted, or a webhook sent."""

LEFT_OUT = {
    "sconce_audio_decode_seconds",
    "sconce_build_info",
    "sconce_config_reloads_total",
    "sconce_diarization_seconds",
    "sconce_download_seconds",
    "sconce_fallbacks_total",
    "sconce_key_audio_seconds_total",
    "sconce_key_characters_total",
    "sconce_key_reloads_total",
    "sconce_keys",
    "sconce_live_audio_seconds_total",
    "sconce_live_ended_total",
    "sconce_live_final_seconds",
    "sconce_live_partial_seconds",
    "sconce_live_revised_total",
    "sconce_live_sessions",
    "sconce_memory_budget_bytes",
    "sconce_recording_warnings_total",
    "sconce_requests_in_flight",
    "sconce_worker_memory_bytes",
}
"""Metrics for who looks closer."""


def substituted(query):
    """As Grafana sends it, with everything chosen."""
    query = query.replace("$__rate_interval", "20s").replace("$job", ".+").replace("$instance", ".+")
    assert "$" not in query, query
    return query


def traffic(server):
    """What a server goes through in a week."""
    wav, recording = {"Content-Type": "audio/wav"} | KEY, RECORDING.read_bytes()
    assert server.ask("/predict", recording, wav).status == 200
    assert server.ask("/v1/jobs", recording, wav).status == 202
    assert server.ask("/predict?model=whisper-nano.en", recording, wav).status == 200
    assert server.ask("/predict", recording, {"Content-Type": "audio/wav"}).status == 401
    assert server.ask("/predict?model=openai/whisper-tiny", recording, wav).status == 503
    assert server.ask("/models/whisper-nano.en/unload", b"", KEY).status in (200, 202)
    speech = b'{"model":"tts-1","voice":"alloy","input":"Good morning."}'
    assert server.ask("/v1/audio/speech", speech, {"Content-Type": "application/json"} | KEY).status == 200
    update = b'{"update":true,"wait":true}'
    assert server.ask("/download-models", update, {"Content-Type": "application/json"} | KEY).status == 200


@pytest.fixture(scope="module")
def prometheus(program, tmp_path_factory):
    """That has seen a server with traffic, and goes on to see it."""
    folder, over = tmp_path_factory.mktemp("dashboard"), threading.Event()

    def again_and_again():
        while not over.wait(0.2):
            traffic(server)

    with ExitStack() as stack:
        hub = Hub()
        stack.callback(hub.close)
        hub.put("acme/nano", EMBEDDED)
        server = Server(program, folder, SETTINGS | {"HF_ENDPOINT": hub.url})
        stack.callback(server.kill)
        server.opened()
        prometheus = Prometheus(folder, [f"127.0.0.1:{server.port}"], RULES)
        stack.callback(prometheus.close)
        traffic(server)
        user = threading.Thread(target=again_and_again)
        user.start()
        stack.callback(user.join)
        stack.callback(over.set)
        yield prometheus


def test_it_is_fresh():
    made = subprocess.run([sys.executable, GRAFANA / "make.py"], capture_output=True, text=True, check=True).stdout
    assert made == (GRAFANA / "sconce.json").read_text(), "python3 deploy/grafana/make.py > deploy/grafana/sconce.json"


def test_it_is_what_grafana_imports():
    assert DASHBOARD["uid"] and DASHBOARD["title"] and DASHBOARD["schemaVersion"] >= 36
    assert "id" not in DASHBOARD, "Grafana gives it"
    variables = {variable["name"]: variable["type"] for variable in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource": "datasource", "job": "query", "instance": "query"}
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_every_panel_has_a_title_of_its_own_a_unit_and_the_chosen_source():
    titles = [(row_of(panel), panel["title"]) for panel in PANELS]
    assert all(title for _, title in titles) and len(set(titles)) == len(titles)
    for panel in PANELS:
        assert panel["fieldConfig"]["defaults"]["unit"] in {"short", "s", "bytes", "Bps", "reqps", "percentunit"}, panel
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}


def test_no_panel_covers_another():
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_gives_data(prometheus, query):
    if any(metric in query for metric in RARE):
        prometheus.query(substituted(query))
        return
    until(lambda: not all(isnan(value) for _, value in prometheus.query(substituted(query))), query, pause=0.5)


def test_every_metric_of_the_server_is_on_it_or_left_out_by_name():
    """So that a new one is not forgotten."""
    assert metrics_in_source() - metrics_of(" ".join(QUERIES.values())) == LEFT_OUT


def row_of(panel):
    """The title of the row that a panel is in."""
    above = [row for row in DASHBOARD["panels"] if row["type"] == "row" and row["gridPos"]["y"] < panel["gridPos"]["y"]]
    return above[-1]["title"]


def metrics_in_source():
    sources = "".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
    return metrics_of(" ".join(re.findall(r'"(sconce_[a-z]+(?:_[a-z]+)*)"', sources)))


def metrics_of(text):
    """Those that expressions name, without what Prometheus adds to the name of a histogram."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bsconce_[a-z_]+", text)}
