"""deploy/terraform, with the real Terraform."""

import shutil

import pytest
from conftest import ROOT, tool
from desk import ON_DEMAND, STARTUP, Desk, bare, desk, only  # noqa: F401 (two of them are fixtures)

GROUND = """
locals {
  ground = { endpoint = "1000", repository = "sconce", service_account = "server@acme.iam.gserviceaccount.com" }
}
"""
"""What google.tf hands on: its provider is at a registry that tests do not reach."""


class Terraform:
    """deploy/terraform without Google's provider, applied for real; the scripts that it runs meet the stand-ins."""

    def __init__(self, desk, folder):
        shutil.copytree(ROOT / "deploy", folder / "deploy")
        self.desk, self.folder = desk, folder / "deploy/terraform"
        (self.folder / "google.tf").write_text(GROUND)
        desk.link("terraform", tool("terraform"))
        desk.cloud.make_repository("sconce")
        desk.cloud.make_endpoint("sconce")
        desk.cloud.made.clear()
        self.does("init")

    def run(self, *words):
        given = {"TF_CLI_CONFIG_FILE": "/dev/null", "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_VAR_project": "acme"}
        return self.desk.run("terraform", words[0], "-no-color", *words[1:], cwd=self.folder, **given)

    def does(self, *words):
        ran = self.run(*words)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran

    def apply(self, **variables):
        return self.does("apply", "-auto-approve", *(f"-var={name}={value}" for name, value in variables.items()))


@pytest.fixture
def terraform(desk, tmp_path):
    return Terraform(desk, tmp_path)


def test_terraform_deploys_changes_and_takes_away(terraform):
    cloud = terraform.desk.cloud
    terraform.does("validate")
    terraform.apply()
    assert cloud.made == ["model", "deployment"]
    assert terraform.run("plan", "-detailed-exitcode").returncode == 0, "nothing is left to do"
    terraform.apply(max_replicas=2)
    assert cloud.made[2:] == ["deployment", "undeployment"]
    terraform.does("destroy", "-auto-approve")
    assert cloud.made[4:] == ["undeployment"]
    assert only(cloud.endpoints.values())["deployedModels"] == []


@pytest.mark.parametrize(
    ("script", "options", "variables"),
    [
        (ON_DEMAND, [], {}),
        (
            STARTUP,
            ["--accelerator", "nvidia-l4", "--max-replicas", "3", "--env", "SCONCE_ACCESS__KEYS=sk-a,it's b"],
            {
                "load_mode": "startup",
                "accelerator": "nvidia-l4",
                "max_replicas": 3,
                "env": "{SCONCE_ACCESS__KEYS = \"sk-a,it's b\"}",
            },
        ),
    ],
)
def test_terraform_makes_what_the_script_makes(terraform, tmp_path, script, options, variables):
    terraform.apply(**variables)
    desk = Desk(tmp_path / "by-hand").hand_over("gcloud", "docker")
    (desk.folder / "git").unlink()
    try:
        desk.does(*script, *options, "--service-account", "server@acme.iam.gserviceaccount.com")
        assert terraform.desk.cloud.models == desk.cloud.models
        assert terraform.desk.cloud.endpoints == desk.cloud.endpoints
    finally:
        desk.cloud.close()


def test_terraform_refuses_wrong_variables(terraform):
    wrong = {"load_mode": "lazy", "name": "Sconce", "artifacts": "s3://b", "accelerator": "L4 x", "min_replicas": "0"}
    ran = terraform.run("plan", *(f"-var={name}={value}" for name, value in wrong.items()))
    assert ran.returncode == 1
    assert [name for name in wrong if f"{name} " not in ran.stderr] == []


def test_terraform_files_are_formatted(bare):
    """All of them, and so google.tf is at least parsed; `terraform validate` needs Google's provider for it."""
    ran = bare.run(tool("terraform"), "fmt", "-check", str(ROOT / "deploy/terraform"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
