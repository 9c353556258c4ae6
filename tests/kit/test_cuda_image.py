"""The image for NVIDIA GPUs, built from the shipped Dockerfile and run where there is none.

That takes the better part of an hour, so that it has to be asked for: `.ci/cuda image`.
"""

import os
import re
import shutil
import struct
import tomllib
from pathlib import Path

import pytest
from conftest import EMBEDDED, RECORDING, ROOT
from hub import Hub
from images import BUILD_PATIENCE, PATIENCE_OF, build_ours, inspected, podman, run, stage_of

pytestmark = [
    pytest.mark.timeout(PATIENCE_OF["cuda"]),
    pytest.mark.skipif("KIT_CUDA_IMAGE" not in os.environ, reason="takes the better part of an hour: .ci/cuda image"),
]

SMALL = 1_100_000_000
SCONCE = "/usr/local/bin/sconce"
LIBRARIES = "usr/local/cuda/lib64"
BY_NAME = {"libnvrtc.so.13", "libnvrtc-builtins.so.13.0"}
"""Libraries that cuBLAS loads when it wants them."""
PLACES = {"GKE": "/usr/local/nvidia/lib64/libcuda.so.1", "the Container Toolkit": "/usr/lib/x86_64-linux-gnu/libcuda.so.1"}
"""Where a driver is mounted, by whom."""


@pytest.fixture(scope="module")
def cuda_image():
    """As `docker build --build-arg ACCELERATOR=cuda .` makes it, but for the time that its optimisation takes."""
    return build_ours("localhost/sconce:cuda", accelerator="cuda")


@pytest.fixture(scope="module")
def baked():
    """With a model in it, which the program itself fetches during the build."""
    hub = Hub()
    hub.put("acme/nano", EMBEDDED)
    models = ["--build-arg", "MODELS=acme/nano", "--build-arg", f"HF_ENDPOINT={hub.url}"]
    try:
        yield build_ours("localhost/sconce:baked-cuda", *models, accelerator="cuda")
    finally:
        hub.close()
        podman("rmi", "--force", "localhost/sconce:baked-cuda", check=False)


@pytest.fixture(scope="module")
def files(cuda_image):
    """What is in it."""
    yield Path(podman("image", "mount", cuda_image).stdout.strip())
    podman("image", "unmount", cuda_image)


@pytest.fixture(scope="module")
def stub(cuda_image, tmp_path_factory):
    """The stub of a driver that the program was linked to: all functions are there, and say that they are none."""
    stage = stage_of("build", "cuda")
    mounted = podman("image", "mount", stage).stdout.strip()
    copied = shutil.copy(f"{mounted}/usr/local/cuda/lib/stubs/libcuda.so.1", tmp_path_factory.mktemp("driver"))
    podman("image", "unmount", stage)
    return copied


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """A driver that describes the card that it is told of (tests/cuda). All other libraries are those of the image."""
    folder = tmp_path_factory.mktemp("stand-in")
    run(ROOT / "tests/cuda/stand_in/build", folder, timeout=BUILD_PATIENCE)
    return folder / "lib/libcuda.so.1"


def mounted(driver, place="GKE"):
    return f"--volume={driver}:{PLACES[place]}:ro"


def ran(image, *command, arguments=()):
    locked = ["--network=none", "--read-only", "--cap-drop=ALL"]
    return podman("run", "--rm", "--pull=never", *locked, *arguments, image, *command, check=False)


# === What is in it ===


def test_it_is_no_larger_than_its_libraries_ask_for(cuda_image, files, capsys):
    size = inspected(cuda_image)["Size"]
    libraries = sum(path.stat().st_size for path in (files / LIBRARIES).iterdir())
    program = (files / SCONCE[1:]).stat().st_size
    with capsys.disabled():
        print(f"\nthe CUDA image without models: {size / 1e6:.0f} MB; NVIDIA's libraries {libraries / 1e6:.0f} MB", end=", ")
        print(f"the program {program / 1e6:.0f} MB")
    assert size <= SMALL


def test_every_library_is_found_but_the_driver_and_none_is_there_in_vain(cuda_image, files):
    said = ran(cuda_image, SCONCE, arguments=["--entrypoint=ldd"]).stdout
    assert re.findall(r"(\S+) => not found", said) == ["libcuda.so.1"], said
    loaded = set(re.findall(rf"=> /{LIBRARIES}/(\S+)", said))
    assert {path.name for path in (files / LIBRARIES).iterdir()} == loaded | BY_NAME, said


def test_the_toolkit_and_its_stub_stay_behind(files):
    left = [path for name in ["nvcc", "ptxas", "*.a", "cuda.h", "libcuda.so*", "python3*"] for path in files.rglob(name)]
    assert not left


def test_the_licence_of_the_libraries_is_with_them(files):
    assert "NVIDIA CUDA Toolkit" in (files / "usr/share/doc/nvidia-cuda/EULA.txt").read_text()


def test_its_kernels_are_of_the_toolkit_and_for_the_capability_that_is_documented(files):
    made = set(re.findall(rb"\.version (\S+)\s+\.target (\S+)", (files / SCONCE[1:]).read_bytes()))
    assert made == {(b"9.0", b"sm_80")}, "PTX 9.0 is that of CUDA 13.0"


def test_it_says_what_the_container_toolkit_is_to_give_it(cuda_image):
    said = dict(one.split("=", 1) for one in inspected(cuda_image)["Config"]["Env"])
    assert said["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert said["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"
    assert said["NVIDIA_REQUIRE_CUDA"] == "cuda>=13.0"
    assert said["CUDA_CACHE_PATH"].startswith("/var/cache/sconce/")


# === How it runs ===


def test_without_a_driver_the_loader_says_so(cuda_image):
    done = ran(cuda_image)
    assert done.returncode == 127
    assert "libcuda.so.1: cannot open shared object file" in done.stderr


@pytest.mark.parametrize("place", PLACES)
def test_the_driver_is_found_where_platforms_mount_it(cuda_image, stub, place):
    done = ran(cuda_image, "--version", arguments=[mounted(stub, place), f"--entrypoint={SCONCE}"])
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    assert done.stdout.strip() == f"sconce {version}", done.stderr


def test_where_no_card_answers_it_serves_from_the_cpu(cuda_image, stub, start, volume):
    server = start(cuda_image, arguments=[volume, mounted(stub)]).opened()
    assert "kitchen lights" in server.transcribed()
    assert server.healthy()
    model = server.ask("/models/status").json()["models"]["sconce/whisper-nano.en"]
    assert model["device"] == "cpu", model


def test_where_no_card_answers_and_one_is_required_it_does_not_start(cuda_image, stub, start, volume):
    server = start(cuda_image, {"SCONCE_RUNTIME__REQUIRE_GPU": "true"}, [volume, mounted(stub)])
    assert server.ended() == 1
    assert "require_gpu = true, and there is no accelerator" in server.logs()


OLD = {
    "driver": (80, 12_040, "knows CUDA 12.4, and this build is for 13.0 or newer; install NVIDIA's driver 580 or newer"),
    "card": (75, 13_000, "has compute capability 7.5, and this build is for 8.0 and newer"),
}


@pytest.mark.parametrize(("capability", "cuda", "said"), OLD.values(), ids=OLD)
def test_a_driver_and_a_card_that_are_too_old_are_refused_by_what_its_kernels_say(
    cuda_image, stand_in, tmp_path, capability, cuda, said
):
    page = tmp_path / "page"
    # How `struct page` of the stand-in begins: one card, its capability, the driver's CUDA, the card's bytes.
    page.write_bytes(struct.pack("<11Q", 1, capability, *[0] * 7, cuda, 80 << 30).ljust(1 << 20, b"\0"))
    page.chmod(0o666)
    given = [mounted(stand_in), f"--volume={page}:/page", "--env=CUDA_STAND_IN=/page", f"--volume={RECORDING}:/wav:ro"]
    done = ran(cuda_image, "transcribe", "--device=cuda:0", "/wav", arguments=[*given, f"--entrypoint={SCONCE}"])
    assert done.returncode and 'error: device = "cuda:0": ' in done.stderr and said in done.stderr, done


def test_a_model_is_baked_in_without_a_driver_and_without_a_token(baked, stub, start):
    assert "kitchen lights" in start(baked, arguments=[mounted(stub)]).opened().transcribed()
