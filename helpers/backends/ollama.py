"""Ollama: a real server where one answers, else the course's own with the same API.

A real one is looked for where Ollama's own client looks: at OLLAMA_HOST, 127.0.0.1:11434 without
it.
"""

import json
import urllib.request
from pathlib import Path

from helpers import model as models
from helpers.backends.backend import Backend
from helpers.backends.child import Child
from helpers.backends.errors import BackendError
from helpers.backends.llama_cpp import require_free

HOW = "a real Ollama where one answers at OLLAMA_HOST; else the course's server with its API"
CANNOT = "be told by Ollama's own API which tool to call; the course's server can over /v1"


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
    None the first that there is. slots, context, port, timeout: of the course's server; port 0
    takes a free one. Raises BackendError, `helpers.model.ModelError`.
    """
    path = models.gguf(model, quant)
    name = Path(model).stem.lower() if model.lower().endswith(".gguf") else model
    if quant.upper() != "Q8_0" and model in models.names():
        name += f":{quant.lower()}"
    address = _address()
    if real is not False and _answers(address):
        backend = OllamaBackend("ollama", name, address + "/v1")
    elif real:
        raise BackendError(f"no Ollama answers at {address}: start it, or set OLLAMA_HOST")
    else:
        require_free(port)
        options = json.dumps({"slots": slots, "context": context})
        arguments = ["-m", "helpers.serving", "ollama", f"--port={port}", f"--options={options}"]
        server = Child("ollama", arguments, timeout)
        backend = OllamaBackend("ollama", name, server.ready["url"] + "/v1", server=server)
    try:
        _put(backend, path)
    except BaseException:
        backend.close()
        raise
    return backend


def _address() -> str:
    """Where Ollama's client would ask."""
    from ollama import Client

    return str(Client()._client.base_url).rstrip("/")


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address + "/api/version", timeout=2) as response:
            return "version" in json.loads(response.read())
    except (OSError, ValueError):
        return False


def _put(backend: OllamaBackend, path: Path) -> None:
    """Create the model from its file where the server does not have it, and load it."""
    from ollama import ResponseError

    client = backend.ollama()
    try:
        client.show(backend.model)
    except ResponseError as error:
        if error.status_code != 404:
            raise BackendError(f"Ollama does not show {backend.model}: {error}") from error
        digest = client.create_blob(path)
        client.create(backend.model, files={path.name: digest})
    client.generate(backend.model, keep_alive=-1)
