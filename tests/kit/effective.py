"""What the server says that its configuration comes to."""

import re
import subprocess

from server import PATIENCE

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def in_force(program, environment):
    """Every setting and its value, as text; an environment that is refused fails the test."""
    command = [program, "check-config"]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert answer.returncode == 0, answer.stderr
    return dict(line.split()[:2] for line in answer.stdout.splitlines() if line[:1].isalpha())


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|[smh])", text).groups()
    return int(number) * UNITS[unit]
