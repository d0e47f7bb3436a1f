"""A model's folder as ONNX, by ONNX Runtime GenAI's own builder. Needs slm/requirements.txt.

`python -m slm onnx` writes it to the user's cache, where `helpers.model.onnx` finds it;
`python -m slm export` writes edge-slm in int4 beside its weights, to be committed.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from helpers import model as models

# In plain int4 a model of this size forgets too much: the weights that suffer most, among them the
# last matrix, keep 8 bits, as in llama.cpp's mixtures.
OPTIONS = {"int4": ["algo_config=k_quant_mixed"]}


def build(name: str = "edge-slm", precision: str = "int4", to: Path | None = None) -> Path:
    """Write the model's folder for ONNX Runtime GenAI, whole or not at all, and return its path.

    precision: int4, int8, fp16 or fp32. to: without it the cache. Raises `helpers.model.ModelError`
    with the end of the builder's words when it fails.
    """
    source, target = models.folder(name), to or models.onnx_place(name, precision)
    if target.is_dir() and to is None:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="building-") as place:
        made = Path(place, target.name)
        command = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
        command += ["-i", source, "-o", made, "-p", precision, "-e", "cpu", "-c", f"{place}/cache"]
        if options := OPTIONS.get(precision):
            command += ["--extra_options", *options]
        environment = os.environ | {"HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, encoding="utf-8"
        )
        if done.returncode:
            end = "\n".join(done.stderr.strip().splitlines()[-5:])
            raise models.ModelError(f"{name} could not be built as ONNX in {precision}:\n{end}")
        (made / "SHA256SUMS").write_bytes(sums(made, [file.name for file in made.iterdir()]))
        if target.is_dir():
            os.replace(target, Path(place, "before"))
        os.replace(made, target)
    return target


def sums(folder: Path, names: list[str]) -> bytes:
    """What `helpers.model` compares a folder's files with, in the form of sha256sum."""
    lines = [f"{models.sha256(folder / name)}  {name}\n" for name in sorted(names)]
    return "".join(lines).encode("ascii")
