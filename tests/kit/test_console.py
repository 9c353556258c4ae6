"""The page at `/`, in a real browser, before the real server."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
import wave
from array import array

import pytest
from browser import Browser
from conftest import RECORDING, ROOT, tool
from playwright.sync_api import expect

SCREENS = ROOT / "tests/kit/screens"
PARTS = ["models", "hear", "speak", "convert", "now"]
RECORDINGS = RECORDING.parent
expect.set_options(timeout=30_000)

KEYS = {"SCONCE_ACCESS__KEYS": "sk-user", "SCONCE_ACCESS__ADMIN_KEYS": "sk-admin"}
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
SECURITY = {
    "content-security-policy": "default-src 'self'; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(self)",
}


@pytest.fixture(scope="module")
def browser():
    browser = Browser(tool("chromium"), RECORDING)
    yield browser
    browser.close()


@pytest.fixture
def visit(browser):
    """visit(server, …) opens the page. It may not ask others, nor complain but of refusals that the test expects: by their status, or by
    the browser's word for them."""
    visits = []

    def open_page(server, refused=(), **asked):
        expected = [why if isinstance(why, str) else f"status of {why}" for why in refused]
        visits.append((browser.open(server, **asked), expected))
        return visits[-1][0]

    yield open_page
    for opened, refused in visits:
        complaints = [text for text in opened.complaints if not any(expected in text for expected in refused)]
        foreign = opened.foreign()
        opened.close()
        assert not complaints and not foreign, (complaints, foreign)


def row(opened, model):
    return opened.page.locator(f"[data-model='{model}']")


def screen(name):
    """Where a picture is kept for people to look at."""
    SCREENS.mkdir(exist_ok=True)
    return SCREENS / f"{name}.png"


def lower(answer):
    return {name.lower(): value for name, value in answer.headers.items()}


# === What people do ===


def test_a_dropped_recording_becomes_words_that_play(serve, visit):
    server = serve()
    opened = visit(server, part="hear")
    hear = opened.page.locator("#view-hear")
    expect(hear.locator("select").first).to_have_value("sconce/whisper-nano.en")
    opened.drop(RECORDING)
    words = hear.locator(".word")
    expect(words).to_have_text(["turn", "on", "the", "kitchen", "lights"])
    expect(hear.get_by_text("English", exact=False).last).to_contain_text("% sure")
    expect(hear.locator(".time").last).to_contain_text("0:02.7")
    words.nth(3).click()
    opened.until("window.marked.includes('kitchen')")
    hear.get_by_role("button", name="Play from 0:00").click()
    word, segment = opened.page.evaluate("window.plays")
    assert 1.0 < word < 1.3 and 0.5 < segment < 0.9

    saved = {}
    for name in ["Text", "SRT", "VTT", "JSON"]:
        with opened.page.expect_download() as download:
            hear.get_by_role("button", name=name, exact=True).click()
        saved[name] = download.value
    assert saved["SRT"].suggested_filename == f"{RECORDING.stem}.srt"
    texts = {name: file.path().read_text() for name, file in saved.items()}
    assert texts["Text"].strip() == "turn on the kitchen lights"
    assert re.fullmatch(r"1\n00:00:0\S+ --> 00:00:0\S+\nturn on the kitchen lights\n", texts["SRT"])
    assert texts["VTT"].startswith("WEBVTT\n\n00:00:0")
    assert len(json.loads(texts["JSON"])["segments"][0]["words"]) == 5


def test_a_pasted_recording_is_transcribed_and_asked_again_in_another_way(serve, visit):
    opened = visit(serve(), refused=[400], part="hear")
    hear = opened.page.locator("#view-hear")
    expect(hear.locator("select").first).to_have_value("sconce/whisper-nano.en")
    opened.drop(RECORDINGS / "shopping-list.ogg", "audio/ogg", paste=True)
    expect(hear.locator(".transcript")).to_contain_text("shopping list")
    # The model knows English only, and says so.
    hear.get_by_role("combobox", name="Language").fill("German")
    hear.get_by_role("button", name="Transcribe again").click()
    expect(hear.locator(".card > .failure")).to_contain_text("English", ignore_case=True)


RUNNERS = {"curl": ("sh", "sh"), "Python": ("TEST_PYTHON", "py"), "JavaScript": ("node", "mjs")}
"""Who runs the lines of each language, and the ending of their file."""


def written(view, language):
    """The lines to copy in a language."""
    lines = view.locator(".snippets")
    if lines.get_attribute("open") is None:
        lines.get_by_text("Do this in your own program").click()
    lines.get_by_text(language, exact=True).click()
    return lines.locator("pre").inner_text()


def does(lines, language, folder, python=None):
    """Runs them as they are, in a folder; what they print."""
    runner, ending = RUNNERS[language]
    if language == "Python":
        runner = python or os.environ.get("TEST_PYTHON") or pytest.skip("TEST_PYTHON names no interpreter that has openai")
    program = folder / f"lines.{ending}"
    program.write_text(lines)
    command = [runner if language == "Python" else tool(runner), program]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("language", RUNNERS)
def test_the_lines_to_copy_do_the_same(serve, visit, tmp_path, language):
    server = serve()
    opened = visit(server, part="hear")
    hear = opened.page.locator("#view-hear")
    hear.get_by_text("More", exact=True).click()
    hear.get_by_label("no_speech_threshold").fill("null")
    hear.get_by_label("seed").fill("7")
    opened.drop(RECORDING)
    shutil.copy(RECORDING, tmp_path)
    expect(hear.locator(".snippets")).to_be_visible()
    lines = written(hear, language)
    assert server.url in lines and "uthorization" not in lines and "no_speech_threshold" in lines
    said = does(lines, language, tmp_path)
    if language == "curl":
        answer = json.loads(said)
        assert answer["text"] == "turn on the kitchen lights" and len(answer["words"]) == 5
    else:
        assert said.strip() == "turn on the kitchen lights"

    speak = opened.part("speak")
    speak.get_by_label("Text", exact=True).fill("It's \"one\" o'clock.")
    speak.get_by_text("More", exact=True).click()
    speak.get_by_label("Loudness", exact=True).select_option("true")
    speak.get_by_label("Language").fill("English")
    speak.get_by_role("button", name="Speak").click()
    expect(speak.locator(".snippets")).to_be_visible()
    lines = written(speak, language)
    assert '"language"' in lines and '"normalize_loudness"' in lines
    does(lines, language, tmp_path)
    sound = (tmp_path / "speech.mp3").read_bytes()
    assert len(sound) > 2000 and (sound.startswith(b"ID3") or sound[0] == 0xFF), sound[:80]


def test_a_text_is_spoken_and_plays(serve, visit):
    opened = visit(serve(), part="speak")
    speak = opened.page.locator("#view-speak")
    expect(speak.get_by_label("Voice")).to_have_value("lark")
    speak.get_by_label("Text", exact=True).press("Control+Enter")
    expect(speak.get_by_text("First sound after", exact=False)).to_be_visible()
    assert opened.page.evaluate("window.starts") >= 1, "nothing was played while it was made"
    expect(speak.get_by_role("button", name="Stop")).to_be_hidden()
    speak.get_by_role("button", name="Play the speech").click()
    expect(speak.get_by_role("button", name="Pause the speech")).to_be_visible()
    expect(speak.locator(".player .time")).not_to_contain_text("0:00.0 /")
    with opened.page.expect_download() as download:
        speak.get_by_role("button", name="WAV").click()
    assert download.value.path().read_bytes().startswith(b"RIFF")
    with opened.page.expect_download() as download:
        speak.get_by_role("button", name="MP3").click()
    assert len(download.value.path().read_bytes()) > 5000


def test_the_microphone_is_heard(serve, visit):
    opened = visit(serve(), part="hear")
    hear = opened.page.locator("#view-hear")
    hear.get_by_role("button", name="Record", exact=True).click()
    expect(hear.get_by_role("button", name="Stop")).to_be_visible()
    # What it hears lasts as long.
    expect(hear.locator(".drop .time")).to_have_text(re.compile(r"0:(0[3-9]|[1-5])"))
    hear.get_by_role("button", name="Stop").first.click()
    expect(hear.locator(".transcript")).to_contain_text("kitchen lights")


@pytest.fixture
def toned(serve, tone, tmp_path):
    """A server whose model speaks and converts in tones, in any voice that it is shown."""
    folder = tmp_path / "tone"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "tone"}')
    voices = tmp_path / "voices"
    voices.mkdir()
    model = {"MODEL_ID": "tone", "SCONCE_MODELS__TONE__SOURCE": f"file:{folder}", "SCONCE_VOICES__DIR": str(voices)}
    return serve(model, other=tone)


def load(opened, name):
    """Brings a model into memory, as a person does."""
    opened.part("models")
    model = row(opened, name)
    model.get_by_role("button", name=f"Load {name}", exact=True).click()
    expect(model.locator(".state")).to_have_text("Ready")


def saved(opened, view):
    """The sound that a part of the page made, as it saves it."""
    with opened.page.expect_download() as download:
        view.get_by_role("button", name="WAV", exact=True).click()
    return download.value.path()


def hertz(path):
    """How often a second a sound goes up and down, over all of it, its silence included."""
    with wave.open(str(path)) as sound:
        assert (sound.getsampwidth(), sound.getnchannels()) == (2, 1)
        samples = array("h", sound.readframes(sound.getnframes()))
        heard = [sample for sample in samples if abs(sample) > 30]
        changes = sum((one < 0) != (other < 0) for one, other in zip(heard, heard[1:]))
        return changes / 2 / (len(samples) / sound.getframerate())


def test_a_recording_is_converted_to_the_voice_that_is_chosen(toned, visit, tmp_path):
    opened = visit(toned)
    load(opened, "tone")
    convert = opened.part("convert")
    expect(convert.get_by_label("Model")).to_have_value("tone")
    convert.get_by_role("button", name="Convert", exact=True).click()
    expect(convert.get_by_text("There is no recording.", exact=False)).to_be_visible()
    opened.drop(RECORDING)
    pitches = {}
    for voice in ["low", "high"]:
        convert.get_by_label("Voice", exact=True).select_option(voice)
        convert.get_by_role("button", name="Convert", exact=True).click()
        expect(convert.get_by_text("2.7 s of sound", exact=False)).to_be_visible()
        expect(convert.get_by_role("button", name="Stop")).to_be_hidden()
        pitches[voice] = hertz(saved(opened, convert))
    shutil.copy(RECORDING, tmp_path)
    for language in RUNNERS:
        does(written(convert, language), language, tmp_path, python=sys.executable)
        assert len((tmp_path / "converted.mp3").read_bytes()) > 2000
        (tmp_path / "converted.mp3").unlink()
    # It hums at 110 and at 440 hertz, as long as the recording is loud.
    assert 3.5 < pitches["high"] / pitches["low"] < 4.5 and 40 < pitches["low"] < 115, pitches

    convert.get_by_label("Voice", exact=True).select_option("(a recording)")
    convert.get_by_role("button", name="Convert", exact=True).click()
    expect(convert.get_by_text("There is no voice.", exact=False)).to_be_visible()
    shown = convert.get_by_role("group", name="A recording of the voice").locator("input[type=file]")
    shown.set_input_files(RECORDINGS / "good-morning.flac")
    convert.get_by_role("button", name="Convert", exact=True).click()
    expect(convert.get_by_text("2.7 s of sound", exact=False)).to_be_visible()


def test_a_voice_is_added_by_its_recording_and_speaks(toned, visit):
    opened = visit(toned, refused=[400])
    load(opened, "tone")
    speak = opened.part("speak")
    speak.get_by_text("Add a voice").click()
    speak.get_by_label("Name").fill("anna")
    speak.get_by_role("button", name="Add the voice").click()
    expect(speak.get_by_text("There is no recording. Drop or record", exact=False)).to_be_visible()
    chooser = speak.get_by_role("group", name="A recording of the speaker").locator("input[type=file]")
    chooser.set_input_files({"name": "words.txt", "mimeType": "text/plain", "buffer": b"no sound at all"})
    speak.get_by_role("button", name="Add the voice").click()
    expect(speak.locator("details .failure").last).to_contain_text(re.compile("audio|sound|recording", re.IGNORECASE))
    chooser.set_input_files(RECORDINGS / "good-morning.flac")
    expect(speak.get_by_text("Recording: good-morning.flac")).to_be_visible()
    speak.get_by_label("Consent").fill("Anna agreed on 3 May, by letter.")
    speak.get_by_role("button", name="Add the voice").click()
    expect(speak.get_by_text("The voice anna was added.")).to_be_visible()
    (voice,) = [one for one in toned.ask("/v1/audio/voices").json()["data"] if one["id"] == "anna"]
    assert voice["origin"] == "folder"

    speak.get_by_label("Voice", exact=True).select_option("anna")
    speak.get_by_role("button", name="Speak", exact=True).click()
    expect(speak.get_by_text("First sound after", exact=False)).to_be_visible()
    expect(speak.get_by_role("button", name="Stop")).to_be_hidden()
    assert len(saved(opened, speak).read_bytes()) > 20_000
    # It is there for a conversion, and for whoever opens the page next.
    convert = visit(toned, part="convert").page.locator("#view-convert")
    expect(convert.get_by_label("Voice", exact=True).locator("option", has_text="anna — a recording")).to_have_count(1)


def test_options_are_those_that_the_family_of_the_model_has(toned, visit):
    opened = visit(toned, refused=[400])
    load(opened, "tone")
    speak = opened.part("speak")
    speak.get_by_label("Model").select_option("tone")
    speak.get_by_text("More", exact=True).click()
    ends = speak.get_by_label("ends_after")
    expect(ends).to_have_attribute("min", "0")
    expect(speak.get_by_text("An end after so many letters (0 and above; all if absent).")).to_be_visible()
    expect(speak.get_by_label("endless").locator("option")).to_have_text(["As usual: no", "Yes", "No"])
    lengths = []
    for letters in ["", "30"]:
        ends.fill(letters)
        speak.get_by_role("button", name="Speak", exact=True).click()
        expect(speak.get_by_text("First sound after", exact=False)).to_be_visible()
        expect(speak.get_by_role("button", name="Stop")).to_be_hidden()
        lengths.append(saved(opened, speak).stat().st_size)
    assert lengths[1] < 0.6 * lengths[0], lengths
    assert '"ends_after":30' in written(speak, "curl")
    # What it cannot be, the server says.
    ends.fill("-3")
    speak.get_by_role("button", name="Speak", exact=True).click()
    expect(speak.locator(".failure").filter(has_text="-3")).to_be_visible()
    # Another family has others; one inside the program has none.
    speak.get_by_label("Model").select_option("sconce/lark.en")
    expect(ends).to_be_hidden()
    expect(speak.get_by_text("This model has no options of its own.")).to_be_visible()
    # What was written for the one is not sent to the other, also where nobody sees it.
    speak.get_by_label("Model").select_option("tone")
    ends.fill("30")
    speak.get_by_text("More", exact=True).click()
    speak.get_by_label("Model").select_option("sconce/lark.en")
    speak.get_by_role("button", name="Speak", exact=True).click()
    expect(speak.get_by_text("First sound after", exact=False)).to_be_visible()


def test_a_song_is_watched_heard_before_its_end_and_saved_by_its_sounds(serve, tone, visit, tmp_path):
    folder = tmp_path / "song"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "tone-song"}')
    model = {"MODEL_ID": "song", "SCONCE_MODELS__SONG__SOURCE": f"file:{folder}", "SCONCE_MODELS__SONG__FAMILY": "tone-song"}
    opened = visit(serve(model, other=tone), refused=[400])
    sing = opened.part("sing")
    sing.get_by_label("Lyrics").fill("la la la\nlo lo lo lo\nlu lu")
    sing.get_by_text("More", exact=True).click()
    sing.get_by_label("hold").fill("2")
    sing.get_by_role("button", name="Sing", exact=True).click()
    song = sing.get_by_role("listitem").first
    expect(song.get_by_text("2 of 3 sections", exact=False)).to_be_visible()
    expect(song.get_by_text("about 2.0 s left", exact=False)).to_be_visible()
    song.get_by_role("button", name="Listen to what is there").click()
    expect(song.locator(".player .time")).to_have_text(re.compile(r"/ 0:00\.[678]"))
    # It is there for who comes back to the page.
    opened.page.reload()
    expect(song.get_by_text("2 of 3 sections", exact=False)).to_be_visible()
    song.get_by_role("button", name="Cancel").click()
    expect(song.get_by_text("Cancelled.")).to_be_visible()
    song.get_by_role("button", name="Remove").click()
    expect(sing.get_by_role("listitem")).to_have_count(0)

    sing.get_by_label("Lyrics").fill("la la la\nlo lo lo lo\nlu lu")
    sing.get_by_role("button", name="Sing", exact=True).click()
    song = sing.get_by_role("listitem").first
    saves = song.get_by_role("group", name="Save the song").get_by_role("button")
    expect(saves).to_have_text(["mix", "low", "high"])
    expect(song.locator(".player .time")).to_have_text(re.compile(r"/ 0:0(0\.9|1\.[01])"))
    sizes = set()
    for stem in ["mix", "low", "high"]:
        with opened.page.expect_download() as download:
            saves.filter(has_text=stem).click()
        assert download.value.suggested_filename == f"song.{stem}.mp3"
        sizes.add(download.value.path().read_bytes())
    assert len(sizes) == 3
    # What is wrong the server says.
    sing.get_by_label("Lyrics").fill(" ")
    sing.get_by_role("button", name="Sing", exact=True).click()
    expect(sing.locator("form .failure").filter(has_text="blank")).to_be_visible()


def both(left, right, path):
    """Two recordings of one rate as the channels of one, the second after the first."""
    with wave.open(str(left)) as one, wave.open(str(right)) as other:
        assert one.getparams()[:3] == other.getparams()[:3] == (1, 2, one.getframerate())
        rate, first, second = one.getframerate(), one.readframes(one.getnframes()), other.readframes(other.getnframes())
    frames = array("h")
    for sample in array("h", first):
        frames.extend((sample, 0))
    for sample in array("h", second):
        frames.extend((0, sample))
    with wave.open(str(path), "wb") as made:
        made.setparams((2, 2, rate, 0, "NONE", ""))
        made.writeframes(frames.tobytes())


def test_the_sides_of_a_call_are_told_apart(serve, visit, tmp_path):
    call = tmp_path / "call.wav"
    both(RECORDING, RECORDING, call)
    opened = visit(serve(), part="hear")
    hear = opened.page.locator("#view-hear")
    speakers = hear.get_by_label("Speakers")
    # Without a network nobody is told apart by voice.
    expect(speakers.locator("option")).to_have_text(["Not told apart", "One on each channel"])
    speakers.select_option("One on each channel")
    opened.drop(call)
    expect(hear.locator(".speaker")).to_have_text(["Channel 0", "Channel 1"])
    lines = hear.locator(".transcript li")
    for line in [lines.first, lines.last]:
        expect(line).to_contain_text("kitchen lights")
    with opened.page.expect_download() as download:
        hear.get_by_role("button", name="SRT", exact=True).click()
    assert "\n[channel 0] turn on" in download.value.path().read_text()
    assert "-F channels='separate'" in written(hear, "curl")


def test_speakers_are_told_apart_where_there_is_a_network(serve, visit):
    network = ROOT / "tests/fixtures/chatterbox/reference/s3gen.safetensors"
    # At a threshold of 1 no moment is like another.
    server = serve({"SCONCE_AUDIO__SPEAKER_NETWORK": str(network), "SCONCE_AUDIO__SPEAKER_THRESHOLD": "1"})
    opened = visit(server, part="hear")
    hear = opened.page.locator("#view-hear")
    hear.get_by_label("Speakers").select_option("By their voices")
    opened.drop(RECORDING)
    expect(hear.locator(".speaker").first).to_have_text("A")
    expect(hear.locator(".word")).to_have_text(["turn", "on", "the", "kitchen", "lights"])
    with opened.page.expect_download() as download:
        hear.get_by_role("button", name="VTT", exact=True).click()
    assert "\n<v A>turn" in download.value.path().read_text()
    assert "-F diarize='true'" in written(hear, "curl")


# === Models ===


def test_states_change_while_a_cold_model_loads(serve, visit, hub):
    hub.rate = len(hub.repos["acme/nano"]["model.safetensors"]) / 4
    server = serve({"HF_ENDPOINT": hub.url, "MODEL_ID": "acme/nano"})
    opened = visit(server)
    model = row(opened, "acme/nano")
    expect(model.locator(".state")).to_have_text("Not loaded")
    model.get_by_role("button", name="Load acme/nano", exact=True).click()
    expect(model.locator(".state")).to_have_text("Downloading")
    expect(model.locator(".measure")).to_have_text(re.compile(r"Downloading · .* of .*MB · .*/s"))
    expect(model.get_by_role("button", name="Load acme/nano", exact=True)).to_be_hidden()
    opened.page.screenshot(path=screen("downloading"))
    share = opened.page.evaluate("document.querySelector('progress').value")
    assert 0 < share < 1
    expect(model.locator(".state")).to_have_text("Ready")
    expect(model.locator(".facts")).to_contain_text("cpu")
    expect(model.locator(".facts")).to_contain_text("Revision")
    model.get_by_role("button", name="Unload acme/nano").click()
    expect(model.locator(".state")).to_have_text("Not loaded")


def test_an_update_brings_what_the_source_has_now(serve, visit, hub):
    server = serve({"HF_ENDPOINT": hub.url, "MODEL_ID": "acme/nano"})
    opened = visit(server)
    model = row(opened, "acme/nano")
    update = model.get_by_role("button", name="Update acme/nano")
    expect(update).to_be_hidden()
    load(opened, "acme/nano")

    def revision():
        return server.ask("/models/status").json()["models"]["acme/nano"]["revision"]

    before = revision()
    expect(model.locator(".facts")).to_contain_text(before[:10])
    hub.repos["acme/nano"]["generation_config.json"] += b"\n"
    update.click()
    expect(model.locator(".facts")).not_to_contain_text(before[:10])
    expect(model.locator(".facts")).to_contain_text(revision()[:10])
    expect(model.locator(".state")).to_have_text("Ready")
    assert hub.downloads["acme/nano/model.safetensors"] == 1, "what is here was fetched again"

    # One that fails is told, and what served before serves on.
    serves = revision()
    hub.repos["acme/nano"]["config.json"] = b"{"
    update.click()
    expect(model.locator(".failure")).to_have_text(re.compile(r"^config\.json is not .* then choose Update\.$"))
    expect(model.locator(".state")).to_have_text("Ready")
    assert revision() == serves
    assert server.ask("/predict", RECORDING.read_bytes(), {"Content-Type": "audio/wav"}).status == 200


def test_the_page_follows_a_server_that_goes_away_and_comes_back(serve, visit, hub):
    settings = {"HF_ENDPOINT": hub.url, "MODEL_ID": "acme/nano"}
    server = serve(settings)
    opened = visit(server, refused=["net::ERR_"])
    page, model = opened.page, row(opened, "acme/nano")
    load(opened, "acme/nano")
    page.evaluate("window.stayed = true")
    server.kill()
    expect(page.locator("#health")).to_have_text("Not connected")
    expect(page.locator("#notice")).to_contain_text("The server does not answer.")
    serve(settings, port=server.port)
    expect(page.locator("#health")).not_to_have_text("Not connected")
    expect(page.locator("#notice")).to_be_hidden()
    # Its states are those of the new server, and live.
    expect(model.locator(".state")).to_have_text("Not loaded")
    assert server.ask("/models/acme/nano/load", b"{}", {"Content-Type": "application/json"}).status == 200
    expect(model.locator(".state")).to_have_text("Ready", timeout=5000)
    assert page.evaluate("window.stayed"), "it was loaded anew"


def test_a_failure_shows_its_reason(serve, visit, hub):
    server = serve({"HF_ENDPOINT": hub.url, "MODEL_ID": "acme/nowhere"})
    opened = visit(server, refused=[503])
    model = row(opened, "acme/nowhere")
    model.get_by_role("button", name="Load acme/nowhere", exact=True).click()
    expect(model.locator(".state")).to_have_text("Failed")
    expect(model.locator(".failure")).to_contain_text("acme/nowhere")
    opened.page.screenshot(path=screen("failed"))
    expect(model.locator(".failure")).to_contain_text(re.compile("tried again|tries again"))
    hear = opened.part("hear")
    hear.locator("select").first.select_option("acme/nowhere")
    opened.drop(RECORDING)
    expect(hear.locator(".card .failure")).not_to_be_empty()


def test_a_failure_that_may_pass_says_when_it_is_tried_again(serve, visit, hub):
    hub.status = 500
    server = serve({"HF_ENDPOINT": hub.url, "MODEL_ID": "acme/nano"})
    opened = visit(server)
    model = row(opened, "acme/nano")
    model.get_by_role("button", name="Load acme/nano", exact=True).click()
    expect(model.locator(".failure")).to_have_text(re.compile(r"500.* Tried again in [\d.]+ (ms|s|min)\.$"))
    # As the server says it.
    error = server.ask("/models/status").json()["models"]["acme/nano"]["error"]
    assert error["attempts"] >= 1 and not error["permanent"] and error["retry_in_seconds"] > 0, error
    hub.status = None
    model.get_by_role("button", name="Load acme/nano", exact=True).click()
    expect(model.locator(".state")).to_have_text("Ready")
    expect(model.locator(".failure")).to_be_hidden()


def test_presets_are_found_by_their_names(serve, visit):
    opened = visit(serve())
    here, presets = opened.page.locator(".models").first, opened.page.locator(".models.compact")
    # What hears and what speaks, both inside the program.
    expect(here.locator(".model")).to_have_count(2)
    expect(presets.locator(".model")).to_have_count(0)
    search = opened.page.get_by_label("Search the presets")
    search.fill("whisper-tiny")
    expect(presets.locator(".model")).to_have_count(2)
    search.fill("no such model")
    expect(opened.page.get_by_text("No preset is called like", exact=False)).to_be_visible()


def test_a_key_sees_what_it_may_do(serve, visit):
    server = serve(KEYS)
    opened = visit(server, refused=[401])
    page = opened.page
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.screenshot(path=screen("key"))
    key = dialog.get_by_label("Key", exact=True)
    key.fill("sk-nobody")
    key.press("Enter")
    expect(dialog.get_by_text("This key is not known here.")).to_be_visible()
    key.fill("sk-user")
    key.press("Enter")
    model = row(opened, "sconce/whisper-nano.en")
    expect(model).to_be_visible()
    expect(model.get_by_role("button")).to_have_count(0)
    hear = opened.part("hear")
    opened.drop(RECORDING)
    expect(hear.locator(".transcript")).to_contain_text("kitchen lights")
    assert "YOUR_KEY" in hear.locator("pre").inner_text(timeout=10_000) or hear.locator("pre").text_content()
    assert "sk-user" not in hear.locator("pre").text_content()
    expect(opened.part("speak").get_by_text("Add a voice")).to_be_hidden()

    page.get_by_role("button", name="Key").click()
    key.fill("sk-admin")
    key.press("Enter")
    opened.part("models")
    expect(model.get_by_role("button", name="Unload")).to_be_visible()
    expect(opened.part("speak").get_by_text("Add a voice")).to_be_visible()
    assert page.evaluate("Object.keys(localStorage).length + document.cookie.length") == 0


def test_the_last_minutes_are_shown(serve, visit):
    server = serve()
    opened = visit(server)
    now = opened.part("now")
    expect(now.locator(".lead")).to_contain_text("The last")
    assert server.ask("/predict", RECORDING.read_bytes(), {"Content-Type": "audio/wav"}).status == 200

    def value(title):
        return now.locator("article", has=opened.page.get_by_role("heading", name=title, exact=True)).locator(".value")

    expect(value("Requests")).to_have_text("1")
    expect(value("Latency")).to_have_text(re.compile(r"\d (m?s)"))
    expect(value("Cold starts")).to_have_text("1")
    expect(value("Memory")).to_have_text(re.compile("MB"))


# === For everybody ===


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nobody_is_kept_out_and_nothing_overflows(serve, visit, scheme, width):
    opened = visit(serve(), scheme=scheme, width=width)
    expect(row(opened, "sconce/whisper-nano.en")).to_be_visible()
    for part in PARTS:
        view = opened.part(part)
        if part in ("hear", "speak"):
            view.get_by_text("More", exact=True).click()
        if part == "hear":
            expect(view.get_by_label("beam_size")).to_be_visible()
            opened.drop(RECORDING)
            expect(view.locator(".word").first).to_be_visible()
            view.get_by_text("Do this in your own program").click()
        if part == "speak":
            view.get_by_role("button", name="Speak").click()
            expect(view.get_by_role("button", name="MP3")).to_be_visible()
        if part == "now":
            expect(view.locator(".lead")).to_contain_text("The last")
        # What fades in is there.
        opened.page.evaluate("scrollTo(0, 0)")
        opened.page.wait_for_timeout(400)
        opened.page.screenshot(path=screen(f"{part}-{scheme}-{width}"), full_page=part != "models")
        assert opened.violations() == []
        wide = opened.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{part} is {wide} wide"


def test_the_keyboard_reaches_what_a_mouse_does(serve, visit):
    opened = visit(serve())
    page = opened.page
    expect(row(opened, "sconce/whisper-nano.en")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Hear")).to_be_focused()
    assert page.title() == "Hear · Sconce"
    page.get_by_label("Key", exact=True)
    page.get_by_role("button", name="Key").press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Key", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def first_paint(opened, url):
    """Milliseconds until something is to be read."""
    opened.page.goto(url)
    return opened.until("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")


def test_the_page_is_small_and_soon_there(serve, visit):
    server = serve()
    # The page of a few words has no icon.
    opened = visit(server, refused=[404])
    page = opened.page
    page.locator(".model").first.wait_for()
    transfer = page.evaluate(
        "performance.getEntriesByType('navigation')[0].transferSize + performance.getEntriesByType('resource')"
        ".filter(({name}) => name.includes('/console/')).reduce((sum, {transferSize}) => sum + transferSize, 0)"
    )
    # Beside a page of a few words, and the best of a few: whatever else this machine does is not the page's.
    paints, plain = [], []
    for _ in range(4):
        paints.append(first_paint(opened, f"{server.url}/"))
        plain.append(first_paint(opened, f"{server.url}/health/live"))
    print(f"first paint after {min(paints):.0f} ms, of a few words {min(plain):.0f} ms; {transfer} bytes transferred")
    assert 10_000 < transfer < 60_000
    assert min(paints) - min(plain) < 200, (paints, plain)


# === What is sent ===


@pytest.mark.parametrize("path", ["/", "/console/app.js", "/console/style.css", "/docs/", "/docs/install"])
def test_what_is_served_is_guarded_and_not_sent_twice(serve, path):
    server = serve(KEYS)
    answer = server.ask(path, headers={"Accept-Encoding": "gzip"})
    headers = lower(answer)
    assert answer.status == 200 and {name: headers.get(name) for name in SECURITY} == SECURITY
    assert (headers["cache-control"], headers["content-encoding"]) == ("no-cache", "gzip")
    again = server.ask(path, headers={"If-None-Match": headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert b"<" in server.ask(path).body or path != "/"


def test_the_page_of_the_api_runs_under_its_own_policy(serve, visit):
    opened = visit(serve(), path="docs/api/")
    expect(opened.page.locator(".opblock").first).to_be_visible()
    opened.page.locator("#operations-OpenAI-transcriptions, .opblock").first.click()
    expect(opened.page.get_by_role("button", name="Try it out").first).to_be_visible()


def test_the_page_of_the_api_is_guarded_as_the_others_are(serve):
    headers = lower(serve().ask("/docs/api/"))
    policy = headers.pop("content-security-policy")
    assert policy.startswith("default-src 'self';") and "unsafe" not in policy, policy
    others = {name: value for name, value in SECURITY.items() if name != "content-security-policy"}
    assert {name: headers.get(name) for name in others} == others


def test_there_is_nothing_inline_and_nothing_from_elsewhere(serve):
    page = serve().ask("/").body.decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|https?://|<script(?![^>]*src=)", page)


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/metrics", "GET", 401), ("/nowhere", "GET", 404), ("/predict", "GET", 405)]
)
def test_a_browser_is_shown_a_page_and_a_program_json(serve, path, method, status):
    server = serve(KEYS if status == 401 else None)
    shown, read = server.ask(path, headers=HTML, method=method), server.ask(path, method=method)
    assert (shown.status, read.status) == (status, status)
    assert lower(shown)["content-type"].startswith("text/html") and b"<h1>" in shown.body
    assert {name: lower(shown).get(name) for name in SECURITY} == SECURITY
    message = read.json()["error"]["message"]
    assert message and html.escape(message, quote=False) in shown.body.decode()
    assert lower(shown).get("allow") == lower(read).get("allow")


def test_what_a_caller_sent_is_text_on_a_page(serve):
    body = serve().ask("/v1/models/%3Cb%3E", headers=HTML).body
    assert b"&lt;b&gt;" in body and b"<b>" not in body


def test_the_page_can_be_turned_off(serve):
    server = serve({"SCONCE_HTTP__CONSOLE": "false"})
    for path in ["/", "/console/app.js"]:
        assert server.ask(path).status == 404, path
    assert server.ask("/health").status == 200
