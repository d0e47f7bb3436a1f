"""ONNX Runtime GenAI, behind the course's server."""

from helpers import model as models
from helpers.backends import served
from helpers.backends.backend import Backend

HOW = "ONNX Runtime GenAI in a child process, behind the course's server"
CANNOT = "presence and frequency penalties, min_p, embeddings"


def missing() -> str:
    """Empty, or what is missing and the command that mends it."""
    return served.missing("onnxruntime_genai", "onnx")


def start(
    model: str = "edge-slm",
    precision: str = "int4",
    slots: int = 8,
    context: int = 2048,
    threads: int | None = None,
    provider: str = "cpu",
    port: int = 0,
    timeout: float = 120,
) -> Backend:
    """Serve a model. Up to `slots` requests run at once, each with `context` tokens.

    precision: see `helpers.model.onnx`. provider: what computes, cpu, cuda, dml, ... (see
    `helpers.serving.onnx.providers`). port: 0 takes a free one. timeout: seconds for loading.
    Raises BackendError, `helpers.model.ModelError`.
    """
    models.onnx(model, precision)
    options = {
        "precision": precision,
        "slots": slots,
        "context": context,
        "threads": threads,
        "provider": provider,
    }
    return served.start("onnx", model, port, timeout, options)
