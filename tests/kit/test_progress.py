"""What `sconce pull` shows while it fetches, in a terminal and in a log, and what is left of it."""

import os
import re
import subprocess

import pytest
from conftest import tool
from tmux import DONE, Tmux

MODEL = "acme/nano"
FETCHED = rf"{MODEL}: fetched [\d.]+ MB in [\d.]+ s, [\d.]+ .?B/s, in (\S+)"


@pytest.fixture
def slow(hub):
    """A hub that takes some seconds for the model."""
    hub.rate = len(hub.repos[MODEL]["model.safetensors"]) / 4
    return hub


def variables(hub, folder):
    return {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(folder / "cache")}


def test_a_log_has_lines_and_ends_with_what_came(program, slow, tmp_path):
    def pull(*options):
        environment = {"PATH": os.environ["PATH"]} | variables(slow, tmp_path)
        words = [program, "pull", MODEL, *options]
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=True)

    ran = pull()
    *before, last = ran.stderr.splitlines()
    assert any(re.match(rf"{MODEL}: downloading \d+ %, ", line) for line in before), ran.stderr
    (place,) = re.fullmatch(FETCHED, last).groups()
    assert place == str(tmp_path / "cache/models--acme--nano") and os.path.isdir(place)
    assert re.fullmatch(rf"{MODEL}  [0-9a-f]{{40}}\n", ran.stdout), "what scripts read is as it was"
    # Nothing came: nothing is said of it.
    assert pull().stderr == ""


def test_a_terminal_has_a_bar_and_keeps_one_line(program, slow, tmp_path):
    shown = Tmux(tool("tmux"), tmp_path, f"{program} pull {MODEL}", environment=variables(slow, tmp_path))
    try:
        shown.shows(rf"{MODEL} .* [\d.]+ .?i?B/[\d.]+ Mi?B")
        text = shown.shows(DONE)
    finally:
        shown.close()
    lines = [line for line in text.splitlines() if line]
    assert lines[0] == "before" and re.fullmatch(FETCHED, lines[1]), text
    assert re.fullmatch(rf"{MODEL}  [0-9a-f]{{40}}", lines[2]) and lines[3] == "code 0", text


def test_a_failure_is_not_written_into_a_bar(program, hub, tmp_path):
    hub.status = 404
    shown = Tmux(tool("tmux"), tmp_path, f"{program} pull {MODEL}", environment=variables(hub, tmp_path))
    try:
        text = shown.shows(DONE)
    finally:
        shown.close()
    lines = [line for line in text.splitlines() if line]
    assert lines[1].startswith(f"error: {MODEL}: ") and "code 3" in lines, text
