"""The workflows, the scripts of the repository, and what carries the version."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, tool

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
RELEASE = ROOT / ".ci/release"
PINNED = re.compile(r"[\w.-]+/[\w./-]+@(v\d+|[0-9a-f]{40})")


def read(path):
    return yaml.safe_load(path.read_text())


def steps(path):
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


def check(*words, **given):
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, **given)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def scripts():
    """Files of the repository that begin as a script of a shell does, and what is sourced by one."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    paths = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in paths if path.is_file() and (path.suffix == ".sh" or is_script(path))]


def is_script(path):
    with path.open("rb") as file:
        return re.match(rb"#!\S*(/|env )(ba|da)?sh\b", file.read(40)) is not None


# === the scripts ===


def test_shellcheck_has_nothing_to_say():
    found = scripts()
    assert {ROOT / name for name in (".ci/run", ".ci/release", "entrypoint.sh", "deploy/preload.sh")} <= set(found)
    check(tool("shellcheck"), "-x", *found)


# === the workflows ===


def test_there_are_workflows():
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "release.yml"]


def test_the_schema_of_workflows_is_kept():
    check(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)


def test_yamllint_has_nothing_to_say():
    rules = "{extends: default, rules: {line-length: {max: 150}, document-start: disable, truthy: {check-keys: false}, braces: {max-spaces-inside: 0}}}"
    owned = [ROOT / "deploy/kserve", ROOT / "deploy/cloud-run", *WORKFLOWS]
    check(sys.executable, "-m", "yamllint", "--strict", "-d", rules, *owned)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_a_workflow_may_only_read(path):
    assert read(path)["permissions"] == {"contents": "read"}
    assert [step["uses"] for step in steps(path) if "uses" in step and not PINNED.fullmatch(step["uses"])] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_steps_run_is_sound_shell_that_nothing_is_pasted_into(path):
    assert read(path)["defaults"]["run"]["shell"] == "bash", "what fails in a pipe would go unseen"
    for step in steps(path):
        if script := step.get("run"):
            assert "${{" not in script, "a value comes by a variable of the environment"
            check(tool("shellcheck"), "--shell", "bash", "-", input=script)


def test_workflows_call_what_a_developer_calls():
    runs = [step.get("run") for step in steps(ROOT / ".github/workflows/ci.yml")]
    assert "make check" in runs and ".ci/run" in runs


def test_how_the_page_looks_is_kept():
    uploads = [step for step in steps(ROOT / ".github/workflows/ci.yml") if "upload-artifact" in step.get("uses", "")]
    assert [step["with"]["path"] for step in uploads] == ["tests/kit/screens"]


def test_every_artifact_of_a_release_has_its_provenance():
    jobs = read(ROOT / ".github/workflows/release.yml")["jobs"]
    for name in ("binary", "image", "chart"):
        uses = [step.get("uses", "") for step in jobs[name]["steps"]]
        assert any(use.startswith("actions/attest-build-provenance@") for use in uses), name
        assert jobs[name]["permissions"]["attestations"] == jobs[name]["permissions"]["id-token"] == "write"
    (image,) = [step["with"] for step in jobs["image"]["steps"] if step.get("id") == "push"]
    assert image["sbom"] is True and image["provenance"] == "mode=max"
    assert set(jobs["publish"]["needs"]) == jobs.keys() - {"publish"}
    assert [name for name, job in jobs.items() if job.get("permissions", {}).get("contents") == "write"] == ["publish"]


def test_the_files_of_a_release_are_there():
    """Those that the workflow packs by name; its build arguments are ones that the Dockerfile takes."""
    text = (ROOT / ".github/workflows/release.yml").read_text()
    (packed,) = re.findall(r"cp target/dist/sconce (.+) \"\$NAME\"", text)
    assert [name for name in packed.split() if not (ROOT / name).is_file()] == []
    (build,) = [step["with"] for step in steps(ROOT / ".github/workflows/release.yml") if step.get("id") == "push" and "with" in step]
    dockerfile = (ROOT / "Dockerfile").read_text()
    for argument in build["build-args"].split("\n"):
        name = argument.partition("=")[0]
        assert not name or re.search(rf"^ARG {name}\b", dockerfile, re.MULTILINE), name
    assert "dist" in tomllib.loads((ROOT / "Cargo.toml").read_text())["profile"]


def test_every_image_is_one_that_the_dockerfile_makes_and_the_page_names():
    (job,) = [job for name, job in read(ROOT / ".github/workflows/release.yml")["jobs"].items() if name == "image"]
    images = {image["suffix"]: image for image in job["strategy"]["matrix"]["include"]}
    assert images.keys() == {"", "-ffmpeg", "-cuda", "-cuda75"}
    assert {suffix: image["capability"] for suffix, image in images.items() if image["accelerator"] == "cuda"} == {
        "-cuda": 80,
        "-cuda75": 75,
    }
    assert [suffix for suffix, image in images.items() if image["ffmpeg"] == "with"] == ["-ffmpeg"]
    (build,) = [step["with"] for step in job["steps"] if step.get("id") == "push"]
    given = dict(line.split("=", 1) for line in build["build-args"].splitlines())
    assert given["CUDA_COMPUTE_CAP"] == "${{ matrix.capability }}" and given["FFMPEG"] == "${{ matrix.ffmpeg }}"
    dockerfile, page = (ROOT / "Dockerfile").read_text(), (ROOT / "docs/install.md").read_text()
    for suffix, image in images.items():
        for stage in (f"build-{image['accelerator']}", f"runtime-{image['ffmpeg']}-ffmpeg"):
            assert re.search(rf"^FROM .* AS {stage}$", dockerfile, re.MULTILINE), stage
        assert f"`ghcr.io/OWNER/sconce:X.Y.Z{suffix}`" in page, suffix


# === the version ===


def version():
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]


@pytest.fixture
def clone(tmp_path):
    """What .ci/release reads, to be changed, with a date in the changelog."""
    for name in (".ci/release", "Cargo.toml", "Cargo.lock", "CHANGELOG.md", "charts/sconce/Chart.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    change(tmp_path / "CHANGELOG.md", r"^(## \[.*\]) - .*", r"\1 - 2026-12-01")
    return tmp_path


def change(path: Path, pattern, into):
    text, count = re.subn(pattern, into, path.read_text(), count=1, flags=re.MULTILINE)
    assert count == 1, pattern
    path.write_text(text)


def release(folder, tag):
    return subprocess.run([folder / ".ci/release", tag], capture_output=True, text=True, timeout=60)


def test_all_that_carries_the_version_agrees(clone):
    ran = release(clone, f"v{version()}")
    assert ran.returncode == 0, ran.stderr
    assert "### Added" in ran.stdout and "\n## " not in ran.stdout


def test_the_program_says_the_same_version(program):
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60).stdout
    assert said.strip() == f"sconce {version()}"


def test_templates_name_the_image_of_this_version():
    paths = [path for path in (ROOT / "deploy").rglob("*") if path.suffix in (".yaml", ".yml", ".json")]
    named = {path.name: re.findall(r"\bsconce:(\d+\.\d+\.\d+)", path.read_text()) for path in paths}
    assert {"service.yaml", "serving-runtime.yaml", "endpoint.json"} <= {name for name, found in named.items() if found}
    assert {name: found for name, found in named.items() if set(found) - {version()}} == {}


def test_a_release_without_its_date_is_refused(clone):
    change(clone / "CHANGELOG.md", r"2026-12-01", "unreleased")
    ran = release(clone, f"v{version()}")
    assert ran.returncode == 1 and "has no date" in ran.stderr


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("Cargo.toml", r'^version = ".*"'),
        ("charts/sconce/Chart.yaml", r"^version: .*"),
        ("charts/sconce/Chart.yaml", r"^appVersion: .*"),
        ("CHANGELOG.md", r"^## \[[^]]*"),
    ],
)
def test_a_version_that_disagrees_is_named(clone, name, pattern):
    change(clone / name, pattern, lambda found: re.sub(r"\d+\.\d+\.\d+", "9.9.9", found[0]))
    ran = release(clone, f"v{version()}")
    assert ran.returncode == 1 and name in ran.stderr and "9.9.9" in ran.stderr


def test_a_tag_that_nothing_agrees_with_is_refused(clone):
    ran = release(clone, "v9.9.9")
    assert ran.returncode == 1 and len(ran.stderr.splitlines()) == 5, ran.stderr


def test_only_the_newest_section_is_the_notes(clone):
    with (clone / "CHANGELOG.md").open("a") as page:
        page.write("\n## [0.0.1] - 2026-01-01\n\n- something old\n")
    assert "something old" not in release(clone, f"v{version()}").stdout
