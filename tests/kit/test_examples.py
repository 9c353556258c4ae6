"""The clients in examples/clients, run as a reader runs them, against the real server."""

import os
import shutil
import subprocess
import sys
import wave

import pytest
from conftest import RECORDING, ROOT, tool

CLIENTS = ROOT / "examples/clients"
PROGRAMS = sorted(CLIENTS.iterdir())
SAID = "turn on the kitchen lights"
KEYS = {"SCONCE_ACCESS__KEYS": "sk-reader"}


def interpreter(program):
    """What runs a program; one that imports OpenAI's package needs an interpreter that has it."""
    if program.suffix == ".mjs":
        return [tool("node")]
    if program.suffix == ".sh":
        return [tool("bash")]
    if "openai" not in program.read_text().split('"""')[2]:
        return [sys.executable]
    return [os.environ.get("TEST_PYTHON") or pytest.skip("TEST_PYTHON names no interpreter that has openai")]


@pytest.fixture
def run(tmp_path):
    """run(name, *arguments, **environment): what a program says; it works in a folder of its own."""

    def started(name, *arguments, code=0, **environment):
        program = CLIENTS / name
        command = [*interpreter(program), program, *map(str, arguments)]
        variables = {"PATH": os.environ["PATH"]} | environment
        ran = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout.strip() if code == 0 else ran.stderr

    return started


@pytest.fixture
def here(serve):
    """The environment that names a server, which asks for a key."""
    return {"SCONCE_URL": serve(KEYS).url, "SCONCE_KEY": "sk-reader"}


def seconds(path):
    """Of a WAV file; one that was streamed does not know its length."""
    with wave.open(str(path)) as sound:
        return len(sound.readframes(1 << 24)) / 2 / sound.getframerate()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_a_client_is_short_and_says_how_it_is_used(run, program):
    assert len(program.read_text().splitlines()) < 40
    assert "usage:" in run(program.name, "--help")
    assert program.name in (ROOT / "docs/clients.md").read_text()


@pytest.mark.parametrize("name", ["transcribe.py", "transcribe.mjs"])
def test_a_recording_is_transcribed(run, here, name):
    assert run(name, RECORDING, **here) == SAID
    model = ["--model", "no"] if name.endswith("py") else ["no"]
    assert "there is no model" in run(name, RECORDING, *model, code=1, **here)
    assert "key" in run(name, RECORDING, code=1, **here | {"SCONCE_KEY": "sk-nobody"})


def test_a_transcription_comes_in_other_formats(run, here):
    assert run("transcribe.py", RECORDING, "--format", "srt", "--language", "en", **here).startswith("1\n00:00:0")
    assert '"segments"' in run("transcribe.py", RECORDING, "--format", "verbose_json", **here)


@pytest.mark.parametrize("name", ["speak.py", "speak.mjs"])
def test_a_text_is_spoken_into_a_file(run, here, tmp_path, name):
    run(name, "Good morning.", "morning.mp3", **here)
    sound = (tmp_path / "morning.mp3").read_bytes()
    assert len(sound) > 2000 and (sound.startswith(b"ID3") or sound[0] == 0xFF), sound[:80]
    run(name, "Good morning.", "morning.wav", **here)
    assert 0.5 < seconds(tmp_path / "morning.wav") < 3
    assert not (tmp_path / "none.xyz").exists()
    run(name, "Good morning.", "none.xyz", code=2 if name.endswith("py") else 1, **here)


def test_speech_is_saved_while_it_is_made(run, here, tmp_path):
    said = run("stream_speech.py", "Good morning. The train leaves at eight.", "--save", "morning.wav", **here)
    assert said.startswith("the first sound came after")
    assert 1.5 < seconds(tmp_path / "morning.wav") < 6


def test_generate_answers_with_a_file(run, here, tmp_path):
    run("client.py", "Good morning.", "morning.wav", **here)
    assert 0.5 < seconds(tmp_path / "morning.wav") < 3
    assert "no voice" in run("client.py", "Good morning.", "x.wav", "--voice", "nobody", code=1, **here)


def test_subtitles_lie_beside_their_recordings(run, here, tmp_path):
    names = ["two words.wav", 'a;"b.wav']
    for name in names:
        shutil.copy(RECORDING, tmp_path / name)
    (tmp_path / "none.wav").write_text("no sound")
    complaint = run("subtitles.sh", names[0], "none.wav", names[1], code=1, **here)
    assert "none.wav" in complaint and "known format" in complaint
    for name in names:
        assert SAID in (tmp_path / f"{name}.srt").read_text()
    assert sorted(path.suffix for path in tmp_path.glob("*.wav*")) == [".srt", ".srt", ".wav", ".wav", ".wav"]
    run("subtitles.sh", names[0], FORMAT="vtt", **here)
    assert (tmp_path / f"{names[0]}.vtt").read_text().startswith("WEBVTT")
