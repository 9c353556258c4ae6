"""A real Prometheus on loopback, with the rules that are shipped, in time-lapse."""

import re
import subprocess
from fractions import Fraction
from typing import NamedTuple
from urllib.parse import urlencode

import yaml
from conftest import tool
from server import ask, free_port, until

UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
"""What Prometheus writes a duration in, in milliseconds."""

SHORTEST_RANGE = 4000
"""Milliseconds. At one scrape per second a shorter range may hold fewer than the two that a rate needs."""


class Alert(NamedTuple):
    """One that fires."""

    name: str
    labels: tuple
    """Pairs of name and value, in order; without `alertname`."""

    def label(self, name):
        return dict(self.labels).get(name)


class Prometheus:
    """Scrapes `targets` ("host:port", as job `sconce`; or such lists by the name of their job) and evaluates the file
    `rules` every second; all of the rules' durations are `factor` times as short."""

    def __init__(self, folder, targets, rules, factor=1):
        folder = folder / "prometheus"
        folder.mkdir()
        (folder / "rules.yaml").write_text(yaml.safe_dump(scaled(yaml.safe_load(rules.read_text()), factor)))
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration(targets)))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "prometheus.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    tool("prometheus"),
                    f"--config.file={folder}/prometheus.yml",
                    f"--storage.tsdb.path={folder}/data",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                stdout=log,
                stderr=log,
            )
        try:
            until(self._ready, f"ready: {self.log}")
        except BaseException:
            self.close()
            raise

    def query(self, expression):
        """What an instant query gives: pairs of labels and a number."""
        answer = ask(f"{self.url}/api/v1/query?{urlencode({'query': expression})}").json()
        assert answer["status"] == "success", answer
        data = answer["data"]
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(series["metric"], float(series["value"][1])) for series in data["result"]]

    def alerts(self, state="firing"):
        """Those that fire now; with "pending", those that are about to."""
        found = ask(f"{self.url}/api/v1/alerts").json()["data"]["alerts"]
        return {alert(one["labels"]) for one in found if one["state"] == state}

    def fired(self):
        """Those that have fired since the start."""
        found = self.query('count_over_time(ALERTS{alertstate="firing"}[1d])')
        return {alert({key: value for key, value in labels.items() if key != "alertstate"}) for labels, _ in found}

    def scraped(self, targets):
        """Whether so many targets have answered a scrape."""
        return sum(value for _, value in self.query('up{job="sconce"}')) >= targets

    def close(self):
        self.process.kill()
        self.process.wait()

    def _ready(self):
        assert self.process.poll() is None, self.log.read_text()
        return ask(f"{self.url}/-/ready").status == 200


def configuration(targets):
    jobs = targets if isinstance(targets, dict) else {"sconce": targets}
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": job, "static_configs": [{"targets": list(of)}]} for job, of in jobs.items()],
    }


def alert(labels):
    labels = dict(labels)
    return Alert(labels.pop("alertname"), tuple(sorted(labels.items())))


def scaled(rules, factor):
    """The rules with every duration divided by `factor`: how long a state must last, and the ranges that are looked at.
    Thresholds stay."""

    def rule(one):
        changed = dict(one, expr=scaled_expression(one["expr"], factor))
        for key in ("for", "keep_firing_for"):
            if key in one:
                changed[key] = scaled_duration(one[key], factor)
        return changed

    # A group's own interval goes: everything is evaluated every second.
    groups = [{"name": group["name"], "rules": [rule(one) for one in group["rules"]]} for group in rules["groups"]]
    return {"groups": groups}


def scaled_expression(expression, factor):
    def selector(found):
        longest, _, step = found[1].partition(":")
        longest = scaled_duration(longest, factor, SHORTEST_RANGE)
        return f"[{longest}:{scaled_duration(step, factor, 1000)}]" if step else f"[{longest}]"

    changed = re.sub(r"\[([0-9a-z]+(?::[0-9a-z]+)?)\]", selector, str(expression))
    return re.sub(r"\boffset\s+([0-9a-z]+)", lambda found: f"offset {scaled_duration(found[1], factor)}", changed)


def scaled_duration(text, factor, least=0):
    parts = re.findall(r"(\d+)(ms|[smhdwy])", str(text))
    whole = sum(int(number) * UNITS[unit] for number, unit in parts)
    return f"{max(int(Fraction(whole) / Fraction(factor)), least)}ms"
