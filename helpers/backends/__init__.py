"""Start a model in a runtime, or attach to one that runs, and get a standard client for it.

    with backends.start() as backend:
        client = backend.openai()
        client.chat.completions.create(model=backend.model, messages=[...])

`start()` without a name follows the environment: OPENAI_BASE_URL (a server somebody runs), else
COURSE_BACKEND, else llama.cpp; COURSE_MODEL names another model than the course's own. One file in
this folder for each runtime.
"""

import inspect
import os
from dataclasses import dataclass
from importlib import import_module

from helpers.backends.backend import Backend
from helpers.backends.errors import BackendError, BackendUnavailable

__all__ = ["Backend", "BackendError", "BackendUnavailable", "attach", "available", "start"]

# A runtime's name, and the module here that knows it. Each has `missing() -> str` (empty, or what
# is missing and the command that mends it), `start(model, **options) -> Backend`, and two lines for
# readers, HOW it runs and what it CANNOT.
RUNTIMES = {
    "llama.cpp": "llama_cpp",
    "foundry": "foundry",
    "onnx": "onnx",
    "mlx": "mlx",
    "ollama": "ollama",
    "openvino": "openvino",
    "vllm": "vllm",
}


def start(name: str | None = None, model: str | None = None, **options) -> Backend:
    """Start a runtime with a model loaded; use it as a context manager, which ends the server.

    name: one of `RUNTIMES`. model: a model of the course or the path of a .gguf file; without it
    COURSE_MODEL, else "edge-slm". options: the runtime's own, see its module. Raises
    BackendUnavailable when the runtime is not installed, BackendError when the server does not
    come up, `helpers.model.ModelError` when the model is missing or damaged.
    """
    if name is None and os.environ.get("OPENAI_BASE_URL"):
        if options:
            raise BackendError(
                f"{', '.join(options)} cannot be set: OPENAI_BASE_URL is, and its server runs "
                f"already. Unset it, or name a backend: start('llama.cpp', ...)"
            )
        return attach(os.environ["OPENAI_BASE_URL"], model)
    name = name or os.environ.get("COURSE_BACKEND") or "llama.cpp"
    if name not in RUNTIMES:
        raise BackendUnavailable(f"no backend is called {name!r}; there is {', '.join(RUNTIMES)}")
    runtime = import_module(f"helpers.backends.{RUNTIMES[name]}")
    if missing := runtime.missing():
        raise BackendUnavailable(f"{name}: {missing}")
    known = inspect.signature(runtime.start).parameters
    if wrong := options.keys() - known.keys():
        raise BackendError(
            f"{name} has no option {', '.join(sorted(wrong))}; it has {', '.join(known)}"
        )
    return runtime.start(model or os.environ.get("COURSE_MODEL") or "edge-slm", **options)


def attach(base_url: str, model: str | None = None, api_key: str | None = None) -> Backend:
    """A server that somebody else runs: a teacher's, a colleague's, any OpenAI-compatible one.

    base_url: ends in /v1, as for the OpenAI client. model: without it COURSE_MODEL, else the first
    that the server lists. api_key: without it OPENAI_API_KEY. Raises BackendError when no such
    server answers. Closing it leaves the server alone.
    """
    key = api_key or os.environ.get("OPENAI_API_KEY") or "none"
    backend = Backend("attached", model or os.environ.get("COURSE_MODEL") or "", base_url, key)
    served = backend.served_models()
    backend.model = backend.model or served[0]
    return backend


@dataclass(frozen=True)
class Row:
    """What `available()` says of a runtime.

    missing: empty when it can be started, else what is missing and the command that mends it.
    how: how it runs here. cannot: what raises an error with this runtime.
    """

    missing: str
    how: str
    cannot: str


def available() -> dict[str, Row]:
    """Each runtime's name, and how it is with it on this machine."""
    rows = {}
    for name, module in RUNTIMES.items():
        runtime = import_module(f"helpers.backends.{module}")
        rows[name] = Row(runtime.missing(), runtime.HOW, runtime.CANNOT)
    return rows
