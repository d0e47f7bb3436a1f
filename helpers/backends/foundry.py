"""Foundry Local's SDK, with the course's ONNX folder in its local catalog, behind our server."""

from helpers import model as models
from helpers.backends import served
from helpers.backends.backend import Backend

HOW = "Foundry Local's SDK in a child process, behind the course's server"
CANNOT = "logprobs, penalties of any kind, min_p, ignore_eos, embeddings"


def missing() -> str:
    """Empty, or what is missing and the command that mends it."""
    return served.missing("foundry_local_sdk", "foundry")


def start(
    model: str = "edge-slm",
    precision: str = "int4",
    slots: int = 8,
    context: int = 2048,
    port: int = 0,
    timeout: float = 120,
) -> Backend:
    """Serve a model. Up to `slots` requests run at once, each with `context` tokens.

    precision: see `helpers.model.onnx`. port: 0 takes a free one. timeout: seconds for loading.
    Raises BackendError, `helpers.model.ModelError`.
    """
    models.onnx(model, precision)
    options = {"precision": precision, "slots": slots, "context": context}
    return served.start("foundry", model, port, timeout, options)
