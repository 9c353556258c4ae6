"""The pages: what they link to is there, the summary names each of them, and the README stays short."""

import re

import pytest
import yaml
from conftest import ROOT

DOCS = ROOT / "docs"
FOLDERS = ["docs", "deploy", "charts", "training", ".github", "assets"]
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
CODE = re.compile(r"^ *```.*?^ *```", re.S | re.M)


def headings(page):
    """The anchors of a page, as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text()), re.M)
    texts = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in found]
    return {re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-") for text in texts}


def links(page):
    """Where it links to, but for other sites and what is code."""
    prose = re.sub(r"`[^`\n]*`", "`code`", CODE.sub("", page.read_text()))
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} is not there"
        assert not anchor or anchor in headings(target), f"{link}: there is no such heading"


def test_the_summary_names_every_page_once_and_in_the_form_of_mdbook():
    lines = [line for line in (DOCS / "SUMMARY.md").read_text().splitlines() if line]
    entry = re.compile(r"(?:- )?\[[^]]+\]\(([\w.-]+\.md)\)")
    named = [found[1] for line in lines if (found := entry.fullmatch(line))]
    assert lines[0] == "# Summary" and len(named) + sum(line.startswith("# ") for line in lines) == len(lines), lines
    assert sorted(named) == sorted({page.name for page in DOCS.glob("*.md")} - {"SUMMARY.md"})


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
