"""Where somebody sits who deploys to the cloud: the programs that are there, and the cloud that they reach."""

import shutil
import subprocess
from pathlib import Path

import pytest
from cloud import Cloud, hand_over

ROOT = Path(__file__).parents[2]
PROJECT = ("--project", "acme")
ON_DEMAND = (ROOT / "deploy/deploy_on_demand.sh", *PROJECT)
STARTUP = (ROOT / "deploy/deploy_with_entrypoint.sh", *PROJECT)
COMMON = ("bash", "cat", "cut", "dirname", "env", "git", "grep", "mktemp", "rm", "sha256sum", "tee")


class Desk:
    """Neither gcloud nor docker are there, until somebody puts them there."""

    def __init__(self, folder):
        self.cloud = Cloud()
        self.folder = folder
        folder.mkdir()
        for name in COMMON:
            self.link(name, shutil.which(name))
        # Who waits, waits in vain here.
        (folder / "sleep").write_text("#!/bin/sh\n")
        (folder / "sleep").chmod(0o755)

    def link(self, name, program):
        (self.folder / name).symlink_to(program)

    def hand_over(self, *names):
        """Puts programs there that hand their arguments over to the cloud."""
        for name in names:
            hand_over(self.cloud, self.folder, name)
        return self

    def run(self, *words, cwd=None, **environment):
        variables = {"PATH": str(self.folder), "HOME": str(self.folder)} | environment
        return subprocess.run(words, env=variables, cwd=cwd, capture_output=True, text=True, timeout=240)

    def does(self, *words, cwd=None, **environment):
        ran = self.run(*words, cwd=cwd, **environment)
        assert ran.returncode == 0, ran.stderr
        return ran

    def docker(self, verb):
        """What docker was asked to do."""
        return [words for words in self.cloud.asked if words[:2] == ["docker", verb]]


def only(found):
    (one,) = found
    return one


@pytest.fixture
def bare(tmp_path):
    """Neither gcloud nor docker."""
    desk = Desk(tmp_path / "bin")
    yield desk
    desk.cloud.close()


@pytest.fixture
def desk(bare):
    return bare.hand_over("gcloud", "docker")
