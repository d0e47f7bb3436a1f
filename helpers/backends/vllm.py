"""vLLM's own server, `vllm serve`, in an environment of its own and in child processes.

vLLM wants a torch of its own and some hundred packages: `python -m tools vllm` makes an environment
for it once. What `start` runs from here is a supervisor: it starts vLLM, waits until it answers,
and ends with the notebook, and all of vLLM's processes with it.
"""

import argparse
import functools
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from helpers import model as models
from helpers.backends.backend import Backend
from helpers.backends.child import Child
from helpers.backends.llama_cpp import default_threads
from helpers.backends.ports import reserved
from helpers.backends.supervised import supervise

HOW = "vLLM's own server, `vllm serve`, from an environment of its own, in child processes"
CANNOT = "read .gguf files, run on Windows or macOS, embeddings beside chat"

VERSION = "0.32.0"  # the newest of which there is a wheel for CPUs too
PARSER = Path(__file__).with_name("vllm_parser.py")

# What the server's process says when the engine's has gone, whatever the reason was.
ENGINE = re.compile("Engine core initialization failed|engine core exited unexpectedly")


@functools.cache
def gpu() -> bool:
    """Whether this machine has an NVIDIA GPU that answers."""
    program = shutil.which("nvidia-smi")
    return bool(program) and not subprocess.run([program, "-L"], capture_output=True).returncode


def environment() -> Path:
    """Where vLLM's own environment is, or will be; deleting the folder removes all of it."""
    return models.cache() / f"vllm-{VERSION}-{'cuda' if gpu() else 'cpu'}"


def marker() -> Path:
    """The file that is written last: without it the environment is not whole."""
    return environment() / "complete"


def missing() -> str:
    """Empty, or what is missing and the command that mends it."""
    if sys.platform != "linux":
        return (
            "vLLM runs on Linux: set OPENAI_BASE_URL to attach to a server on another machine, "
            "or use WSL on Windows"
        )
    if not marker().is_file():
        return (
            "it has no environment here yet: run 'python -m tools vllm' once in the course's "
            "folder, or set OPENAI_BASE_URL to attach to a server that runs"
        )
    return ""


def start(
    model: str = "edge-slm",
    context: int = 2048,
    slots: int = 8,
    dtype: str | None = None,
    cache_mb: int = 256,
    threads: int | None = None,
    tool_parser: str | None = None,
    flags: Sequence[str] = (),
    port: int = 0,
    timeout: float = 300,
) -> Backend:
    """Serve a model. Up to `slots` requests run at once, each with up to `context` tokens.

    model: a model of the course, or the path of a Hugging Face folder of your own. dtype: of
    weights and computation; without it float32 on a CPU, as other runtimes compute there, and the
    model's own on a GPU. cache_mb: memory for keys and values, which all requests share: when it is
    full, requests wait. threads: of a CPU; see `llama_cpp.default_threads`. tool_parser: how the
    model writes tool calls, a name of vLLM's; without it "hermes" for a model of your own. flags:
    more options of `vllm serve`, such as ["--no-enable-prefix-caching"]. port: 0 takes a free one.
    timeout: seconds until it answers. Raises BackendError, `helpers.model.ModelError`.
    """
    folder = models.folder(model)
    command = [
        *(environment() / "bin" / "vllm", "serve", folder, "--served-model-name", folder.name),
        *("--host", "127.0.0.1", "--max-model-len", context, "--max-num-seqs", slots),
        *("--dtype", dtype or ("auto" if gpu() else "float32")),
        *("--kv-cache-memory-bytes", f"{cache_mb}M"),
        # Compiling wants a C++ compiler and doubles the seconds until it is ready; eight clients
        # then get 1,450 tokens/s in place of 1,050. flags=["--no-enforce-eager"] does it.
        "--enforce-eager",
        "--enable-auto-tool-choice",
        "--enable-prompt-tokens-details",  # how much of a prompt its cache spared
        # Not without: else a call that is required may have any arguments at all.
        *("--tool-strict-level", "parameter"),
        # Whitespace is allowed between a JSON's parts by default, and small models write no end.
        *("--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}'),
        *("--disable-uvicorn-access-log", "--uvicorn-log-level", "warning"),
    ]
    if tool_parser is None and folder.parent == models.MODELS:
        command += ["--tool-parser-plugin", PARSER, "--tool-call-parser", "compact_hermes"]
    else:
        command += ["--tool-call-parser", tool_parser or "hermes"]
    if not gpu():
        # One process less, which would import torch once more: ready in 21 s and not 28, in 1.5 GB
        # and not 2.1.
        command += ["--distributed-executor-backend", "uni"]
    threads = threads or min(default_threads(_weight(folder)), _cores_but_one())
    with reserved(port) as free:
        command += ["--port", free, *flags]
        options = [f"--port={free}", f"--threads={threads}", f"--timeout={timeout}", "--"]
        arguments = ["-m", "helpers.backends.vllm", *options, *map(str, command)]
        # The supervisor keeps the time: it knows better how to end what it started.
        server = Child("vLLM", arguments, timeout + 30)
    url = server.ready["url"] + "/v1"
    return Backend("vllm", folder.name, url, server=server, cannot=_cannot)


def _cannot(request: dict) -> str:
    """What vLLM once knew and now passes over: a line in its log, and free text as the answer."""
    if old := [name for name in request if name.startswith("guided_")]:
        return (
            f"vLLM knows {', '.join(old)} no more and would answer freely: use response_format, or "
            f"extra_body={{'structured_outputs': {{'json': ...}}}} ('regex', 'choice', 'grammar')"
        )
    return ""


def _weight(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _cores_but_one() -> int:
    """The server and its scheduler are processes too, and want a core of their own."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def _reason(lines: list[str], code: int) -> str:
    """Why vLLM ended: the error behind the last one, which only says that there was one."""
    errors = [
        number
        for number, line in enumerate(lines)
        if re.match(r"[\w.]+(Error|Exception)\b", line) and not ENGINE.search(line)
    ]
    if errors:
        more = itertools.takewhile(lambda line: line[:1] == " ", lines[errors[-1] + 1 :])
        return "\n".join([lines[errors[-1]], *itertools.islice(more, 3)])
    said = "\n".join(lines[-6:]) + f"\nvLLM ended with {code}"
    if code == -signal.SIGKILL or ENGINE.search("\n".join(lines)):
        said += (
            " and gave no reason, as when the system kills a process because memory ran out: "
            "a smaller model, cache_mb or context wants less"
        )
    return said


def variables(threads: int) -> dict[str, str]:
    """vLLM's environment variables: no network, no reports. threads: of a CPU."""
    # A path of the course's Python, and settings that stand above the command's own.
    dropped = ("PYTHONPATH", "PYTHONHOME", "VLLM_CPU_KVCACHE_SPACE")
    variables = {name: value for name, value in os.environ.items() if name not in dropped}
    variables |= {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_CACHE_ROOT": str(environment() / "cache"),
        # Warnings and errors: a log that grows with each request helps nobody.
        "VLLM_LOGGING_LEVEL": "WARNING",
        "NO_COLOR": "1",
    }
    if not gpu():
        variables |= {
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine computes in its own process
            "OMP_NUM_THREADS": str(threads),
            # Threads that wait for each other sleep: where something else runs too, two that spin
            # made 120 tokens/s for eight clients, and two that sleep 900.
            "OMP_WAIT_POLICY": "PASSIVE",
        }
    return variables


def _supervise() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--timeout", type=float, required=True)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    url = f"http://127.0.0.1:{arguments.port}"
    known = variables(arguments.threads)
    supervise("vLLM", arguments.command, known, url, "/health", arguments.timeout, _reason)


if __name__ == "__main__":
    _supervise()
