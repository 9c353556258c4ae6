"""The pages: the summary names each of them, the README stays short, and what they say to type does what they say.

That their links lead somewhere `cargo test --test architecture` tests, which is a part of `make check`."""

import os
import re
import subprocess

import pytest
import yaml
from conftest import ROOT, tool

DOCS = ROOT / "docs"
FOLDERS = ["docs", "deploy", "charts", "training", ".github", "assets"]
REFERENCES = {"OPERATIONS.md", "CONFIGURATION.md", "models.md", "live.md", "workers.md", "TEXT.md", "AUDIO.md", "metrics.md"}
"""Long pages to look something up in."""
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])


def test_the_summary_names_every_page_once_and_in_the_form_of_mdbook():
    lines = [line for line in (DOCS / "SUMMARY.md").read_text().splitlines() if line]
    entry = re.compile(r"(?:- )?\[[^]]+\]\(([\w.-]+\.md)\)")
    named = [found[1] for line in lines if (found := entry.fullmatch(line))]
    assert lines[0] == "# Summary" and len(named) + sum(line.startswith("# ") for line in lines) == len(lines), lines
    assert sorted(named) == sorted({page.name for page in DOCS.glob("*.md")} - {"SUMMARY.md"})


LONGEST = 36
"""Words of a sentence."""


def sentences(page):
    """Of its prose; what a table or code says is none."""
    prose = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.S | re.M)
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-|#*]|\d+\.) )", prose):
        if not paragraph.lstrip().startswith(("|", "#")):
            text = re.sub(r"\s+", " ", re.sub(r"\]\([^)]*\)", "]", paragraph))
            yield from re.split(r"(?<=[.!?:])\s+(?=[A-Z`*\[])", text)


def test_sentences_of_what_users_read_are_short():
    users = (DOCS / "SUMMARY.md").read_text().split("# Contribute")[0]
    pages = [DOCS / name for name in re.findall(r"\((\S+\.md)\)", users) if name not in REFERENCES]
    long = [f"{page.name}: {said}" for page in [ROOT / "README.md", *pages] for said in sentences(page) if len(said.split()) > LONGEST]
    assert not long, "\n".join(long)


def test_the_readme_is_short_and_begins_with_the_image():
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```sh\n(.+?)^```", readme, re.S | re.M)
    assert len(readme.splitlines()) <= 150
    assert blocks[0].startswith("docker build")
    # One block runs the main job, and another passes the tests.
    assert [block for block in blocks if block.startswith("cargo run --release")]
    assert [block for block in blocks if block.startswith("make test")]


def test_templates_of_issues_are_forms():
    for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text())
        assert path.name == "config.yml" or {"name", "description", "body"} <= set(form), path
        ids = [part["id"] for part in form.get("body", []) if part["type"] != "markdown"]
        assert len(ids) == len(set(ids)), path


def test_every_message_that_troubleshooting_explains_is_in_the_sources():
    paths = [path for folder in ("src", "crates") for path in (ROOT / folder).rglob("*.rs")]
    sources = "\n".join(path.read_text() for path in [*paths, ROOT / "entrypoint.sh"])
    # Texts go on in the next line; what stands for `{name}` in them is `…` on the page.
    sources = re.sub(r"\\\n\s*", "", sources).replace('\\"', '"')
    rows = [line for line in (DOCS / "troubleshooting.md").read_text().splitlines() if line.startswith("| `")]
    messages = [message for row in rows for message in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    assert len(messages) > 50
    missing = []
    for message in messages:
        # The dynamic loader says this one.
        if message.startswith("libcuda"):
            continue
        parts = [part.strip(" ,;:.()?") for part in message.split("…")]
        missing += [(message, part) for part in parts if len(part) > 3 and part not in sources]
    assert not missing, "\n".join(map(str, missing))


def test_pages_name_the_image_of_this_version():
    version = yaml.safe_load((ROOT / "charts/sconce/Chart.yaml").read_text())["appVersion"]
    named = {found for page in PAGES for found in re.findall(r"\bsconce:(\d+\.\d+\.\d+)", page.read_text())}
    assert named == {version}


SERVES = re.compile(
    r"^(?:[A-Z][A-Z0-9_]*=\S+ )*(?:sconce|cargo run --release)(?: --)?(?: serve| --(?:config|model|host|port|load-mode) \S+)*(?: +#.*)?$"
    r"|^docker run (?!.* pull\b).*-p |^docker compose .* up\b(?!.* -d\b)"
)
"""A line that starts the server, and ends when the server does."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_nothing_follows_what_does_not_end(page):
    """Whoever pastes a block would wait for ever before its next line."""
    for block in re.findall(r"^ *```sh\n(.+?)^ *```", page.read_text(), re.S | re.M):
        lines = [line.strip() for line in block.replace("\\\n", " ").splitlines()]
        *before, _ = [line for line in lines if line and not line.startswith("#")] or [""]
        assert [line for line in before if SERVES.match(line)] == []


ASKS = ["README.md", "docs/first-transcription.md", "docs/first-speech.md", "docs/subtitles.md", "docs/apis.md"]
"""Pages whose requests are answered by a server without settings."""


def requests_of(page):
    """Blocks of a page that do nothing but ask a server on this machine."""
    blocks = re.findall(r"^```sh\n(.+?)^```", page.read_text(), re.S | re.M)
    lines = [[line for line in block.replace("\\\n", "").splitlines() if line and line[0] != "#"] for block in blocks]
    asks = [all(re.match(r"curl|printf|  curl", line) for line in block) for block in lines]
    return [block for block, only in zip(blocks, asks, strict=True) if only and "localhost:8080" in block]


@pytest.mark.parametrize("name", ASKS)
def test_requests_of_a_page_are_answered_as_it_says(serve, tmp_path, name):
    url = serve().url.removeprefix("http://")
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    blocks = requests_of(ROOT / name)
    assert blocks
    for block in blocks:
        script = "set -e\n" + block.replace("localhost:8080", url)
        ran = subprocess.run([tool("bash"), "-c", script], cwd=tmp_path, capture_output=True, timeout=60, check=True)
        said = ran.stdout.decode(errors="replace")
        assert '"error"' not in said, said
        # What is left out of an answer is `…` on the page.
        for line in re.findall(r"^#  ?([{\"\d].*)$", block, re.M):
            for part in line.split("…"):
                assert part.strip() in said, f"{line} is not in {said}"
    for made in tmp_path.glob("*.mp3"):
        assert made.stat().st_size > 5000, made


@pytest.mark.parametrize(("language", "ending"), [("python", "py"), ("js", "mjs")])
def test_the_clients_of_the_readme_do_what_they_should(serve, tmp_path, language, ending):
    python = os.environ.get("TEST_PYTHON") or pytest.skip("TEST_PYTHON names no interpreter that has openai")
    lines = re.search(rf"^```{language}\n(.+?)^```", (ROOT / "README.md").read_text(), re.S | re.M)[1]
    assert len(lines.splitlines()) <= 6
    program = tmp_path / f"client.{ending}"
    program.write_text(lines.replace("http://localhost:8080", serve().url))
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    command = [tool("node") if ending == "mjs" else python, program]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout.strip()) == (0, "turn on the kitchen lights"), ran.stderr
