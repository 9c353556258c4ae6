#!/usr/bin/env python3
"""Makes the Grafana dashboard: python3 deploy/grafana/make.py > deploy/grafana/sconce.json"""

import json

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
HERE = 'job=~"$job", instance=~"$instance"'
WIDTH = 24

# === Queries ===


def now(metric, by="", where=""):
    return f"sum by ({by}) ({metric}{{{HERE}{where}}})"


def rate(metric, by=""):
    return f"sum by ({by}) (rate({metric}{{{HERE}}}[$__rate_interval]))"


def count(metric, by=""):
    return f"sum by ({by}) (increase({metric}{{{HERE}}}[$__rate_interval]))"


def mean(histogram, by=""):
    return f"{rate(histogram + '_sum', by)} / {rate(histogram + '_count', by)}"


def quantile(share, histogram, by=""):
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {rate(histogram + '_bucket', labels)})"


def by_device(of_models):
    """What is known of each model, by the device that it is on."""
    device = f"max by (instance, model, device) (sconce_model_info{{{HERE}}})"
    return f"sum by (instance, device) ({of_models} * on (instance, model) group_left (device) {device})"


def share_of_requests(outcomes):
    some = f'sconce_requests_total{{{HERE}, outcome=~"{outcomes}"}}'
    return f"(sum(rate({some}[$__rate_interval])) or vector(0)) / {rate('sconce_requests_total')}"


FIRING = 'count(ALERTS{alertname=~"Sconce.*", alertstate="firing", job=~"$job"}) or vector(0)'
FAILED, REFUSED = "internal|unavailable|wont_fit|deadline", "busy|loading|stopping"

# === Panels: type, title, unit, and queries with what each is called ===

NUMBER, LINES, STATES = "stat", "timeseries", "state-timeline"

ROWS = {
    "Overview": [
        (NUMBER, "Servers that answer", "short", {f"sum(up{{{HERE}}})": ""}),
        (NUMBER, "Models ready", "short", {now("sconce_model_state", where=', state="ready"'): ""}),
        (NUMBER, "Requests per second", "reqps", {rate("sconce_requests_total"): ""}),
        (NUMBER, "Requests that fail", "percentunit", {share_of_requests(FAILED): ""}),
        (NUMBER, "Requests told to come back", "percentunit", {share_of_requests(REFUSED): ""}),
        (NUMBER, "Alerts that fire", "short", {FIRING: ""}),
    ],
    "Loading": [
        (STATES, "State of models", "short", {
            f'max by (instance, model, state) (sconce_model_state{{{HERE}, state!="not_loaded"}}) == 1': "{{instance}} {{model}}: {{state}}",
        }),
        (LINES, "Time to bring a model in, mean", "s", {mean("sconce_model_load_seconds", "phase"): "{{phase}}"}),
        (LINES, "Wait of requests for their model", "s", {
            quantile(0.5, "sconce_model_wait_seconds"): "p50",
            quantile(0.95, "sconce_model_wait_seconds"): "p95",
        }),
        (LINES, "Requests that wait for a model", "short", {now("sconce_waiting_requests", "instance"): "{{instance}}"}),
        (LINES, "Failures and panics", "short", {
            count("sconce_model_failures_total", "model"): "{{model}}: failures",
            count("sconce_model_panics_total", "model"): "{{model}}: panics",
        }),
        (LINES, "Coming and going", "short", {
            count("sconce_model_switches_total"): "switches",
            count("sconce_model_evictions_total", "reason"): "unloaded: {{reason}}",
            count("sconce_model_rollbacks_total"): "brought back",
            count("sconce_model_updates_total", "outcome"): "updates: {{outcome}}",
        }),
    ],
    "Requests": [
        (LINES, "By outcome", "reqps", {rate("sconce_requests_total", "outcome"): "{{outcome}}"}),
        (LINES, "By protocol", "reqps", {rate("sconce_requests_total", "protocol"): "{{protocol}}"}),
        (LINES, "Duration", "s", {
            quantile(0.5, "sconce_request_seconds"): "p50",
            quantile(0.95, "sconce_request_seconds"): "p95",
            quantile(0.99, "sconce_request_seconds"): "p99",
        }),
        (LINES, "Sound taken in per second", "s", {rate("sconce_audio_seconds_total", "model"): "{{model}}"}),
        (LINES, "By key", "reqps", {rate("sconce_key_requests_total", "key"): "{{key}}"}),
        (LINES, "Refused at the gate", "reqps", {rate("sconce_refused_total", "reason"): "{{reason}}"}),
    ],
    "Queue": [
        (LINES, "Requests that wait", "short", {now("sconce_queue_depth", "model"): "{{model}}"}),
        (LINES, "Time in the queue, p95", "s", {quantile(0.95, "sconce_queue_seconds", "model"): "{{model}}"}),
        (LINES, "Seconds of work per second of sound, p95", "short", {quantile(0.95, "sconce_real_time_factor", "model"): "{{model}}"}),
        (LINES, "Requests per run of a model, mean", "short", {mean("sconce_batch_size", "model"): "{{model}}"}),
    ],
    "Memory": [
        (LINES, "Of the process", "bytes", {now("process_resident_memory_bytes", "instance"): "{{instance}}"}),
        (LINES, "Of models", "bytes", {now("sconce_model_resident_bytes", "model"): "{{model}}", now("sconce_model_warm_bytes", "model"): "{{model}}, kept"}),
        (LINES, "That stayed behind models which went", "bytes", {now("sconce_model_leaked_bytes_total", "instance, model"): "{{instance}} {{model}}"}),
        (LINES, "Open files and connections", "short", {now("process_open_fds", "instance"): "{{instance}}"}),
    ],
    "Devices": [
        (LINES, "Models in memory", "short", {f"count by (instance, device) (sconce_model_info{{{HERE}}})": "{{instance}} {{device}}"}),
        (LINES, "Memory of models", "bytes", {by_device(now("sconce_model_resident_bytes", "instance, model")): "{{instance}} {{device}}"}),
        (LINES, "Share of the time that models work", "percentunit", {by_device(rate("sconce_compute_seconds_sum", "instance, model")): "{{instance}} {{device}}"}),
        (LINES, "Processors", "percentunit", {rate("process_cpu_seconds_total", "instance"): "{{instance}}"}),
    ],
    "Store": [
        (LINES, "Free where models are kept", "bytes", {now("sconce_cache_free_bytes", "instance"): "{{instance}}"}),
        (LINES, "Share of the disk that is free", "percentunit", {
            f"{now('sconce_cache_free_bytes', 'instance')} / {now('sconce_cache_size_bytes', 'instance')}": "{{instance}}",
        }),
        (LINES, "Downloads", "Bps", {rate("sconce_download_bytes_total", "source"): "{{source}}"}),
        (LINES, "Fetches by outcome", "short", {count("sconce_downloads_total", "outcome"): "{{outcome}}"}),
    ],
    "Jobs": [
        (LINES, "Held", "short", {now("sconce_jobs", "status"): "{{status}}"}),
        (LINES, "Bytes held", "bytes", {now("sconce_jobs_bytes", "instance"): "{{instance}}"}),
        (LINES, "Time, p95", "s", {
            quantile(0.95, "sconce_jobs_wait_seconds"): "waiting",
            quantile(0.95, "sconce_jobs_run_seconds"): "running",
        }),
        (LINES, "Ended, begun again, told", "short", {
            count("sconce_jobs_ended_total", "status"): "{{status}}",
            count("sconce_jobs_requeued_total", "reason"): "begun again: {{reason}}",
            count("sconce_jobs_webhooks_total", "outcome"): "webhook: {{outcome}}",
            count("sconce_jobs_checkpoints_total", "instance"): "can go on from here: {{instance}}",
            count("sconce_jobs_unwritten_total", "instance"): "not written down: {{instance}}",
        }),
    ],
    "Speech": [
        (LINES, "Time to the first sound", "s", {
            quantile(0.5, "sconce_first_sound_seconds", "model"): "{{model}}, half of them",
            quantile(0.95, "sconce_first_sound_seconds", "model"): "{{model}}, p95",
        }),
        (LINES, "Sound made per second", "s", {rate("sconce_speech_seconds_total", "model"): "{{model}}"}),
        (LINES, "Characters per second", "short", {rate("sconce_characters_total", "model"): "{{model}}"}),
        (LINES, "Voices of recordings per second", "short", {rate("sconce_reference_cache_total", "found"): "{{found}}"}),
        (LINES, "Share of the time that models wait for readers", "percentunit", {
            rate("sconce_parked_seconds_total", "model"): "{{model}}",
        }),
    ],
}

SIZES = {NUMBER: (4, 4), LINES: (12, 8), STATES: (24, 8)}
"""Columns and lines of each type."""

OPTIONS = {
    NUMBER: {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "none", "graphMode": "area"},
    LINES: {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}, "tooltip": {"mode": "multi", "sort": "desc"}},
    STATES: {"mergeValues": True, "showValue": "never", "rowHeight": 0.8, "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False}},
}

CUSTOM = {NUMBER: {}, LINES: {"fillOpacity": 10, "showPoints": "never"}, STATES: {"fillOpacity": 70, "lineWidth": 0}}


def panel(kind, title, unit, queries):
    targets = [
        {"refId": chr(ord("A") + at), "datasource": SOURCE, "expr": expression, "legendFormat": called}
        for at, (expression, called) in enumerate(queries.items())
    ]
    return {
        "type": kind,
        "title": title,
        "datasource": SOURCE,
        "fieldConfig": {
            "defaults": {"unit": unit, "min": 0, "color": {"mode": "palette-classic"}, "custom": CUSTOM[kind]},
            "overrides": [],
        },
        "options": OPTIONS[kind],
        "targets": targets,
    }


def placed():
    """Every row and panel with its place: from left to right, and on the next line what does not fit."""
    y = 0
    for title, row in ROWS.items():
        yield {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}}
        x, y, height = 0, y + 1, 0
        for kind, *rest in row:
            w, h = SIZES[kind]
            if x + w > WIDTH:
                x, y = 0, y + height
            yield panel(kind, *rest) | {"gridPos": {"x": x, "y": y, "w": w, "h": h}}
            x, height = x + w, h
        y += height


def variable(name, query):
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "includeAll": True,
        "multi": True,
        "current": {"text": ["All"], "value": ["$__all"]},
        "refresh": 2,
        "sort": 1,
    }


DASHBOARD = {
    "uid": "sconce",
    "title": "Sconce",
    "tags": ["sconce", "speech"],
    "schemaVersion": 41,
    "version": 1,
    "editable": True,
    "refresh": "30s",
    "time": {"from": "now-1h", "to": "now"},
    "templating": {
        "list": [
            {"name": "datasource", "type": "datasource", "query": "prometheus", "current": {}},
            variable("job", "label_values(sconce_build_info, job)"),
            variable("instance", 'label_values(sconce_build_info{job=~"$job"}, instance)'),
        ]
    },
    "annotations": {"list": []},
    "panels": [panel | {"id": number} for number, panel in enumerate(placed(), start=1)],
}

if __name__ == "__main__":
    print(json.dumps(DASHBOARD, indent=2))
