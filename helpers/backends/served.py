"""Runtimes without a server of their own that calls tools: the course's server in front of them."""

import importlib.util
import json
from pathlib import Path

from helpers.backends.backend import Backend
from helpers.backends.child import Child
from helpers.backends.ports import require_free


def start(runtime: str, model: str, port: int, timeout: float, options: dict) -> Backend:
    """Start `python -m helpers.serving` with a runtime that it knows, and wait until it answers."""
    require_free(port)
    name = Path(model).name
    arguments = [runtime, f"--model={model}", f"--alias={name}", f"--port={port}"]
    arguments.append(f"--options={json.dumps(options)}")
    server = Child(runtime, ["-m", "helpers.serving", *arguments], timeout)
    return Backend(runtime, name, server.ready["url"] + "/v1", server=server)


def missing(module: str, extra: str) -> str:
    """Empty, or that a module is missing and which extra of the course brings it."""
    if importlib.util.find_spec(module):
        return ""
    return (
        f"{module} is not installed: uv sync --inexact --extra {extra}, or "
        f'pip install -c constraints.txt -e ".[{extra}]"'
    )
