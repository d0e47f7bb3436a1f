"""Ollama: a real server where there is one, else the course's own with the same API.

A real one is looked for where Ollama's own client looks, at OLLAMA_HOST, 127.0.0.1:11434 without
it; then on PATH, and started (not on Windows, where Ollama's app runs it). It keeps the models that
it has, and gets the course's in addition.
"""

import argparse
import json
import os
import re
import shutil
import urllib.request
from pathlib import Path

from helpers import model as models
from helpers.backends.backend import Backend
from helpers.backends.child import Child
from helpers.backends.errors import BackendError
from helpers.backends.ports import require_free, reserved
from helpers.backends.supervised import supervise

HOW = "a real Ollama, at OLLAMA_HOST or on PATH; else the course's server with Ollama's API"
CANNOT = "be told by Ollama's own API which tool to call; the course's server can over /v1"

# From 0.30 on Ollama reads a GGUF file's own chat template, without which no tool is called.
OLDEST = (0, 30)


def missing() -> str:
    """Empty: the course's own server is always there."""
    return ""


class OllamaBackend(Backend):
    """A `Backend` that has Ollama's own API beside OpenAI's."""

    def ollama(self, **options):
        """A new client of the package `ollama` for this server."""
        from ollama import Client

        return Client(self.base_url.removesuffix("/v1"), **options)


def start(
    model: str = "edge-slm",
    quant: str = "Q8_0",
    real: bool | None = None,
    slots: int = 4,
    context: int = 2048,
    port: int = 0,
    timeout: float = 120,
) -> OllamaBackend:
    """A server with Ollama's API that has the model.

    quant: see `helpers.model.gguf`. real: True takes a real Ollama only, False the course's server,
    None the first that there is. slots, context, port, timeout: of a server that is started; port 0
    takes a free one. Raises BackendError, `helpers.model.ModelError`.
    """
    path = models.gguf(model, quant)
    name = Path(model).stem.lower() if model.lower().endswith(".gguf") else model
    if quant.upper() != "Q8_0" and model in models.names():
        name += f":{quant.lower()}"
    address, program = _address(), None
    version = None if real is False else _version(address)
    if version is None and real is not False and os.name == "posix":
        program = shutil.which("ollama")
    if version is not None:
        backend = OllamaBackend("ollama", name, address + "/v1")
    elif program:
        backend = _started(program, name, slots, context, port, timeout)
    elif real:
        raise BackendError(
            f"no Ollama answers at {address}, and none is on PATH: install it, start it, or set "
            f"OLLAMA_HOST"
        )
    else:
        require_free(port)
        options = json.dumps({"slots": slots, "context": context})
        arguments = ["-m", "helpers.serving", "ollama", f"--port={port}", f"--options={options}"]
        server = Child("ollama", arguments, timeout)
        backend = OllamaBackend("ollama", name, server.ready["url"] + "/v1", server=server)
    try:
        _require_new(_version(backend.base_url.removesuffix("/v1")))
        _put(backend, path)
    except BaseException:
        backend.close()
        raise
    return backend


def _started(program: str, name: str, slots: int, context: int, port: int, timeout: float):
    with reserved(port) as free:
        options = [f"--port={free}", f"--slots={slots}", f"--context={context}"]
        arguments = ["-m", "helpers.backends.ollama", *options, f"--timeout={timeout}", program]
        server = Child("Ollama", arguments, timeout + 10)  # the supervisor keeps the time
    return OllamaBackend("ollama", name, server.ready["url"] + "/v1", server=server)


def _address() -> str:
    """Where Ollama's client would ask."""
    from ollama import Client

    return str(Client()._client.base_url).rstrip("/")


def _version(address: str) -> str | None:
    """The version of the Ollama that answers at an address, if one does."""
    try:
        with urllib.request.urlopen(address + "/api/version", timeout=2) as response:
            return str(json.loads(response.read())["version"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _require_new(version: str | None) -> None:
    number = re.match(r"(\d+)\.(\d+)", version or "")
    # 0.0.0 is what somebody built
    if number and (0, 0) < (int(number[1]), int(number[2])) < OLDEST:
        raise BackendError(
            f"this Ollama is {version}; from {OLDEST[0]}.{OLDEST[1]} on it uses the chat template "
            f"in a GGUF file, which tells a model of its tools: update it, or call "
            f"start('ollama', real=False) for the course's own server"
        )


def _put(backend: OllamaBackend, path: Path) -> None:
    """Create the model from its file where the server does not have it, and load it."""
    import httpx
    from ollama import ResponseError

    client = backend.ollama()
    try:
        if not _has(client, backend.model, path):
            digest = client.create_blob(path)
            client.create(backend.model, files={path.name: digest})
        client.generate(backend.model, keep_alive=-1)
    except (ResponseError, ConnectionError, httpx.HTTPError) as error:
        raise BackendError(
            f"Ollama does not load {backend.model}: {error}{backend.last_words()}"
        ) from error


def _has(client, name: str, path: Path) -> bool:
    """Whether Ollama has this very file under the name, and not an earlier state of it."""
    from ollama import ResponseError

    try:
        shown = client.show(name)
    except ResponseError as error:
        if error.status_code != 404:
            raise
        return False
    return f"sha256-{models.sha256(path)}" in (shown.modelfile or "")


def _supervise() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--timeout", type=float, required=True)
    parser.add_argument("program")
    arguments = parser.parse_args()
    variables = os.environ | {
        "OLLAMA_HOST": f"127.0.0.1:{arguments.port}",
        "OLLAMA_NUM_PARALLEL": str(arguments.slots),
        "OLLAMA_CONTEXT_LENGTH": str(arguments.context),
        "OLLAMA_NO_CLOUD": "1",
    }
    supervise(
        "Ollama",
        [arguments.program, "serve"],
        variables,
        f"http://127.0.0.1:{arguments.port}",
        "/api/version",
        arguments.timeout,
        lambda lines, code: "\n".join(lines[-6:]) + f"\nOllama ended with {code}",
    )


if __name__ == "__main__":
    _supervise()
