"""`sconce top` in a real terminal, before the real server."""

import os
import re
import subprocess

import pytest
from conftest import RECORDING, tool
from server import free_port, until
from tmux import DONE, Tmux

KEYS = {"SCONCE_ACCESS__KEYS": "sk-user", "SCONCE_ACCESS__ADMIN_KEYS": "sk-admin"}
MODEL = "acme/nano"


@pytest.fixture
def terminal(program, tmp_path):
    """terminal(options, **how) runs `sconce top` in a terminal."""
    tmux, opened = tool("tmux"), []

    def open_terminal(options, **how):
        opened.append(Tmux(tmux, tmp_path, f"{program} top {options}", **how))
        return opened[-1]

    yield open_terminal
    for one in opened:
        one.close()


def once(program, url, *options, **environment):
    words = [program, "top", "--url", url, *options]
    variables = {"PATH": os.environ["PATH"]} | environment
    return subprocess.run(words, env=variables, capture_output=True, text=True, timeout=60)


def hear(server, **headers):
    answer = server.ask("/predict", RECORDING.read_bytes(), {"Content-Type": "audio/wav"} | headers)
    assert answer.status == 200, answer


def test_states_and_requests_are_followed_and_the_terminal_is_given_back(serve, terminal, hub):
    hub.rate = len(hub.repos[MODEL]["model.safetensors"]) / 4
    server = serve({"HF_ENDPOINT": hub.url, "MODEL_ID": MODEL})
    shown = terminal(f"--url {server.url}")
    text = shown.shows(rf"{MODEL} \*\s+not loaded")
    assert re.search(r"Sconce \d+\.\d+\.\d+ at " + server.url, text) and "load mode on demand" in text
    assert re.search(r"Memory: cpu .* of .*B", text), text
    assert server.ask(f"/models/{MODEL}/load", b'{"wait": false}', {"Content-Type": "application/json"}).status == 202
    text = shown.shows(rf"{MODEL}: downloading, .*B of .*MB, .*/s")
    assert re.search(rf"{MODEL} \*\s+downloading \d+ %", text), text
    shown.shows(rf"{MODEL} \*\s+ready\s+cpu\s+[\d.]+ MB")
    hear(server)
    text = shown.shows(r"Requests, the last \d+ \w+: 1, 0 failed")
    # Its latency, its real-time factor and its last use.
    assert re.search(rf"{MODEL} \*\s+ready .*ago\s+0\s+0\s+[\d.]+ m?s\s+[\d.]+ m?s\s+[\d.]+", text), text

    shown.type("j")
    shown.shows(rf"{MODEL}: ready · default · on cpu")
    shown.type("?")
    shown.shows("Ctrl-C quit")
    shown.type("s")
    shown.shows("sorted by name")
    shown.type("q")
    text = shown.shows(DONE)
    # What was there before is there again, letters are shown as they are typed, and lines are read as such.
    assert text.split() == ["before", "code", "0", "icanon", "echo", *DONE.split()], text
    assert "MODEL" not in text


@pytest.mark.parametrize("key", ["Escape", "C-c"])
def test_other_keys_quit_too(serve, terminal, key):
    shown = terminal(f"--url {serve().url}")
    shown.shows("not loaded")
    shown.type(key)
    assert "code 0" in shown.shows(DONE)


def test_a_server_that_goes_away_is_told_and_comes_back(serve, terminal):
    server = serve()
    shown = terminal(f"--url {server.url}")
    shown.shows("whisper-nano.en")
    server.kill()
    text = shown.shows("does not answer: connection refused")
    assert "Trying again. What is below was so" in text and "whisper-nano.en" in text
    back = serve(port=server.port)
    until(lambda: "does not answer" not in shown.screen(), "followed again")
    hear(back)
    shown.shows(": 1, 0 failed")


def test_a_failure_is_told_with_its_reason_and_the_next_try(serve, terminal, hub):
    server = serve({"HF_ENDPOINT": hub.url, "MODEL_ID": MODEL})
    hub.status = 500
    shown = terminal(f"--url {server.url}")
    shown.shows("not loaded")
    server.ask(f"/models/{MODEL}/load", b"{}", {"Content-Type": "application/json"})
    text = shown.shows(rf"{MODEL} \*\s+failed")
    assert re.search(rf"{MODEL}: .+; (tried again in|the next request tries again)", " ".join(text.split())), text


def test_a_key_is_asked_for_and_taken_from_the_environment(serve, terminal):
    server = serve(KEYS)
    shown = terminal(f"--url {server.url}")
    shown.shows("asks for a key. Put one that it knows into the variable SCONCE_KEY")
    shown.type("q")
    shown.shows(DONE)
    shown.close()
    shown = terminal("", environment={"SCONCE_URL": server.url, "SCONCE_KEY": "sk-user"})
    assert "sk-user" not in shown.shows("whisper-nano.en")


def test_a_narrow_terminal_keeps_the_state(serve, terminal):
    text = terminal(f"--url {serve().url}", width=50, height=16).shows("whisper-nano.en")
    assert re.search(r"whisper-nano.en \*\s+not loaded", text) and "q quit" in text and "FIRST SOUND" not in text


def test_as_text_it_is_one_frame(serve, program):
    server = serve()
    hear(server)
    for options in [[], ["--once"]]:
        shown = once(program, server.url, *options)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "\x1b" not in shown.stdout and "quit" not in shown.stdout
        assert re.search(r"sconce/whisper-nano.en \*\s+ready\s+cpu", shown.stdout), shown.stdout
        assert "Requests, since its start: 1, 0 failed · in flight 0," in shown.stdout


def test_as_text_a_failure_is_an_exit_code_and_says_what_helps(serve, program):
    nobody = once(program, f"http://127.0.0.1:{free_port()}", "--once")
    assert nobody.returncode == 1 and "does not answer: connection refused. Is the server running" in nobody.stderr
    server = serve(KEYS)
    locked, wrong = once(program, server.url), once(program, server.url, SCONCE_KEY="sk-nobody")
    assert (locked.returncode, wrong.returncode) == (1, 1)
    assert "asks for a key" in locked.stderr and "does not know this key" in wrong.stderr
    assert "sk-nobody" not in wrong.stderr and locked.stdout == ""
    assert once(program, server.url, SCONCE_KEY="sk-user").returncode == 0
    assert once(program, "nowhere").returncode == 2
