"""llama.cpp's own server, from the `xllamacpp` wheel, in a child process."""

import argparse
import importlib.util
import os
from pathlib import Path

from helpers import model as models
from helpers.backends.backend import Backend
from helpers.backends.child import Child, announce_ready_and_wait
from helpers.backends.ports import require_free

HOW = "llama.cpp's own server, from the wheel xllamacpp, in a child process"
CANNOT = "name the tool to call (tool_choice as an object), be held to one call at a time"


def missing() -> str:
    """Empty, or what is missing and the command that mends it."""
    if importlib.util.find_spec("xllamacpp") is None:
        return (
            "xllamacpp is not installed: uv sync --inexact, or pip install -c constraints.txt -e ."
        )
    return ""


def start(
    model: str = "edge-slm",
    quant: str = "Q8_0",
    slots: int = 4,
    context: int = 2048,
    threads: int | None = None,
    draft: str | None = None,
    lora: str | None = None,
    port: int = 0,
    timeout: float = 120,
) -> Backend:
    """Serve a model. Up to `slots` requests run at once, each with `context` tokens.

    quant: see `helpers.model.gguf`. threads: see `default_threads`. draft: a smaller model with the
    same vocabulary, which guesses tokens ahead (speculative decoding). lora: the path of an
    adapter's .gguf file. port: 0 takes a free one. timeout: seconds for loading. Raises
    BackendError, `helpers.model.ModelError`.
    """
    path = models.gguf(model, quant)
    more = {"draft": models.gguf(draft, quant)} if draft else {}
    if lora:
        more["lora"] = models.gguf(lora)
    require_free(port)
    name = Path(model).stem if model.lower().endswith(".gguf") else model
    server = child(path, name, slots, context, threads, port=port, timeout=timeout, **more)
    url = server.ready["url"] + "/v1"
    return Backend("llama.cpp", name, url, server=server, cannot=_cannot)


def _cannot(request: dict) -> str:
    """What llama.cpp passes over: the name of a tool, and that one call is enough."""
    if isinstance(request.get("tool_choice"), dict):
        return (
            "llama.cpp's server cannot be told which tool to call: show it that tool alone, with "
            "tool_choice='required'"
        )
    if request.get("tools") and request.get("parallel_tool_calls") is False:
        return (
            "llama.cpp's server lets a model make several calls at once all the same: leave "
            "parallel_tool_calls out, and take the first"
        )
    return ""


def child(
    path: Path,
    alias: str,
    slots: int,
    context: int,
    threads: int | None,
    timeout: float,
    **more: str | int | Path,
) -> Child:
    """The server of a GGUF file; `ready` has its "url". What the first five are: see `start`.

    more: port; draft and lora, files; template, a chat template in place of the model's own;
    vectors, for a server that computes embeddings: "mean" of a text's tokens, or "own", as the
    model has it.
    """
    options = {
        "model": path,
        "alias": alias,
        "slots": slots,
        "context": context,
        "threads": threads or default_threads(path.stat().st_size),
        **more,
    }
    arguments = [f"--{option}={value}" for option, value in options.items()]
    return Child("llama.cpp", ["-m", "helpers.backends.llama_cpp", *arguments], timeout)


def default_threads(size: int) -> int:
    """How many threads serve a model of `size` bytes best: one for every 32 MB, no more than cores.

    Threads meet after each matrix; in a small model that costs more than the second one brings, and
    the client wants a core too (`python -m tools bench` measures it). Counted are physical cores,
    up to eight, that this process may use: a container that shows all of its host's cores may have
    the time of one (cgroup v2, as on Binder).
    """
    import psutil

    most = [8, 1 + size // 32_000_000, psutil.cpu_count(logical=False) or os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        most.append(len(os.sched_getaffinity(0)))
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.is_file():
        share, period = quota.read_text(encoding="ascii").split()
        if share != "max":
            most.append(max(1, int(share) // int(period)))
    return min(most)


def _serve() -> None:
    parser = argparse.ArgumentParser()
    for option in ("model", "alias"):
        parser.add_argument(f"--{option}", required=True)
    for option in ("slots", "context", "threads"):
        parser.add_argument(f"--{option}", type=int, required=True)
    parser.add_argument("--port", type=int, default=0)
    for option in ("draft", "lora"):
        parser.add_argument(f"--{option}", default="")
    parser.add_argument("--template", default="")
    parser.add_argument("--vectors", choices=["", "mean", "own"], default="")
    arguments = parser.parse_args()
    server = None

    def begin() -> dict:
        nonlocal server
        import xllamacpp

        settings = xllamacpp.CommonParams()
        settings.model.path = arguments.model
        settings.model_alias = {arguments.alias}
        settings.hostnames = ["127.0.0.1"]
        settings.port = arguments.port
        settings.n_parallel = arguments.slots
        settings.n_ctx = arguments.context * arguments.slots
        settings.cpuparams.n_threads = arguments.threads
        if arguments.draft:
            simple = xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE
            settings.speculative.types = [simple]
            settings.speculative.draft.mparams.path = arguments.draft
        if arguments.lora:
            settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(arguments.lora)]
        settings.use_jinja = True  # the model's own chat template, and tool calls parsed from it
        settings.prefill_assistant = False
        settings.endpoint_metrics = True
        settings.ui = False
        if arguments.template:
            settings.chat_template = arguments.template
        if arguments.vectors:
            settings.embedding = True
            settings.n_batch = settings.n_ubatch = arguments.context  # a text is read at once
            settings.kv_unified = True  # otherwise texts of several lengths get wrong means
        if arguments.vectors == "mean":
            settings.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        # Prompts of the past are kept in memory, up to 8 GB by default, and searched at each new
        # one: after some thousands it is that which takes the time.
        settings.cache_ram_mib = 64
        # Warnings and errors: a log that grows with each request helps nobody.
        settings.verbosity = 2
        server = xllamacpp.Server(settings)
        return {"url": server.listening_address}

    announce_ready_and_wait(begin)


if __name__ == "__main__":
    _serve()
