"""OpenVINO GenAI, which reads our GGUF files itself, behind the course's server."""

from helpers import model as models
from helpers.backends import served
from helpers.backends.backend import Backend

HOW = "OpenVINO GenAI, with continuous batching, in a child process, behind the course's server"
CANNOT = (
    "logprobs, embeddings, other quantizations than start() names, schemas with pattern, not, "
    "uniqueItems, multipleOf, prefixItems or other formats than date and time"
)


def missing() -> str:
    """Empty, or what is missing and the command that mends it."""
    return served.missing("openvino_genai", "openvino")


def start(
    model: str = "edge-slm",
    quant: str = "F16",
    precision: str = "f32",
    slots: int = 8,
    context: int = 2048,
    threads: int | None = None,
    device: str = "CPU",
    port: int = 0,
    timeout: float = 120,
) -> Backend:
    """Serve a model. Up to `slots` requests run at once, each with `context` tokens.

    quant: F16, Q8_0, Q6_K, Q4_K_M, Q4_1 or Q4_0, see `helpers.model.gguf`. precision: of the
    arithmetic, f32, f16 or bf16. device: see `helpers.serving.openvino.devices`. port: 0 takes a
    free one. timeout: seconds for loading. Raises BackendError, `helpers.model.ModelError`.
    """
    models.gguf(model, quant)
    options = {
        "quant": quant,
        "precision": precision,
        "slots": slots,
        "context": context,
        "threads": threads,
        "device": device,
    }
    return served.start("openvino", model, port, timeout, options)
