"""Apple MLX, with mlx-lm's batch generator, behind the course's server."""

from helpers import model as models
from helpers.backends import served
from helpers.backends.backend import Backend

HOW = "mlx-lm in a child process, on a Mac's GPU or any CPU, behind the course's server"
CANNOT = "run on Windows, embeddings"


def missing() -> str:
    """Empty, or what is missing and the command that mends it."""
    return served.missing("mlx_lm", "mlx")


def start(
    model: str = "edge-slm",
    bits: int | None = None,
    slots: int = 8,
    context: int = 2048,
    device: str | None = None,
    port: int = 0,
    timeout: float = 120,
) -> Backend:
    """Serve a model. Up to `slots` requests run at once, each with `context` tokens.

    model: of the course, or the path of a Hugging Face folder of your own. bits: 4 or 8 quantizes
    its weights. device: gpu or cpu, without it MLX's own choice. port: 0 takes a free one. timeout:
    seconds for loading. Raises BackendError, `helpers.model.ModelError`.
    """
    models.folder(model)
    options = {"bits": bits, "slots": slots, "context": context, "device": device}
    return served.start("mlx", model, port, timeout, options)
