"""A checkpoint as a Hugging Face folder: what every runtime, and `helpers.model`, starts from.

`models/NAME/` gets config.json, generation_config.json, tokenizer.json, tokenizer_config.json,
chat_template.jinja, model.safetensors (fp16) and SHA256SUMS, by which `helpers.model` recognises a
damaged download; and, of its training, the recipe (training.json) and the loss of each skill
(learning_curve.csv and .png). edge-slm also gets `onnx-int4`. The card (README.md) is written by
hand and left alone.
"""

import json
import os
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from slm import onnx
from slm import tokenizer as text

MODELS = Path(__file__).parents[1] / "models"


def export(name: str = "edge-slm") -> Path:
    """Write the folder of the model's last checkpoint and return its path (needs torch)."""
    import torch

    from slm.train import RUNS

    run = RUNS / name
    saved = torch.load(run / "checkpoint.pt", weights_only=True, map_location="cpu")
    weights = {key: value.numpy() for key, value in saved["network"].items()}
    folder = write(MODELS / name, saved["config"], weights)
    made = saved["recipe"] | saved["state"] | {"torch": torch.__version__}
    put(folder / "training.json", as_json(made))
    put(folder / "learning_curve.csv", (run / "log.csv").read_bytes())
    put(folder / "learning_curve.png", (run / "loss.png").read_bytes())
    if name == "edge-slm":  # the one that comes with the course ready for ONNX Runtime
        onnx.build(name, "int4", folder / "onnx-int4")
    return folder


def write(folder: Path, config: dict, weights: dict[str, np.ndarray]) -> Path:
    """Write a model's folder, file by file, each complete or not at all."""
    tokenizer = text.load()
    ids = {token: tokenizer.token_to_id(token) for token in text.ADDED}
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "config.json": as_json(
            {
                "architectures": ["LlamaForCausalLM"],
                "model_type": "llama",
                **config,
                "head_dim": config["hidden_size"] // config["num_attention_heads"],
                "rope_parameters": {"rope_type": "default", "rope_theta": config["rope_theta"]},
                "hidden_act": "silu",
                "attention_bias": False,
                "mlp_bias": False,
                "tie_word_embeddings": True,
                "bos_token_id": ids[text.END_OF_TEXT],
                "eos_token_id": ids[text.END],
                "pad_token_id": ids[text.END_OF_TEXT],
                "dtype": "float16",
            }
        ),
        "generation_config.json": as_json(
            {
                "bos_token_id": ids[text.END_OF_TEXT],
                "eos_token_id": ids[text.END],
                "pad_token_id": ids[text.END_OF_TEXT],
                "do_sample": False,
            }
        ),
        "tokenizer.json": tokenizer.to_str(pretty=False).encode("utf-8"),
        "tokenizer_config.json": as_json(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "bos_token": text.END_OF_TEXT,
                "eos_token": text.END,
                "pad_token": text.END_OF_TEXT,
                "clean_up_tokenization_spaces": False,
                "model_max_length": config["max_position_embeddings"],
            }
        ),
        "chat_template.jinja": text.TEMPLATE.read_bytes(),
    }
    for name, content in files.items():
        put(folder / name, content)
    half = {key: np.ascontiguousarray(value, dtype=np.float16) for key, value in weights.items()}
    with tempfile.TemporaryDirectory(dir=folder) as partial:
        path = Path(partial, "model.safetensors")
        save_file(half, path, metadata={"format": "pt"})
        path.chmod(0o644)  # save_file makes it readable to its owner only
        os.replace(path, folder / path.name)
    put(folder / "SHA256SUMS", onnx.sums(folder, [*files, "model.safetensors"]))
    return folder


def as_json(content: dict) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode("utf-8")


def put(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)
