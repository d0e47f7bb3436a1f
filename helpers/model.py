"""The course's models on disk, and the files that runtimes want of them, built on first use.

>>> gguf("edge-slm", "Q8_0").suffix
'.gguf'
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import platformdirs

__all__ = [
    "MODELS",
    "ModelError",
    "cache",
    "convert",
    "folder",
    "gguf",
    "names",
    "onnx",
    "onnx_place",
    "quantize",
    "untrained",
]

MODELS = Path(__file__).parents[1] / "models"
CONVERTER = "1"  # raise it when the files built below change: old ones are then not used again


class ModelError(Exception):
    """A model is missing or damaged, or a file cannot be made of it; the text says what to do."""


def names() -> list[str]:
    """The models that came with the course."""
    return sorted(path.name for path in MODELS.glob("*") if path.is_dir())


def folder(name: str = "edge-slm") -> Path:
    """The Hugging Face folder of a model, its files compared with their SHA256SUMS.

    name: a model of the course, or the path of such a folder of your own, which is used as it is.
    Raises ModelError when there is no such model, or a file is missing or damaged.
    """
    if name not in names():
        own = Path(name).expanduser()
        if (own / "config.json").is_file() and (own / "tokenizer.json").is_file():
            return own.resolve()
        raise ModelError(
            f"there is no model {name!r}: the course has {', '.join(names()) or 'none here'}. "
            f"A model of your own is the path of its .gguf file or, for runtimes that do not read "
            f"those, of its Hugging Face folder, with config.json and tokenizer.json."
        )
    return _compared(MODELS / name)


def onnx(name: str = "edge-slm", precision: str = "int4") -> Path:
    """The folder of a model for ONNX Runtime GenAI, and for Foundry Local, which builds on it.

    name: a model of the course, or the path of such a folder of your own, which is used as it is.
    precision: int4 comes with edge-slm; others (int8, fp32) are built once by `python -m slm onnx`,
    which needs PyTorch. Raises ModelError.
    """
    own = Path(name).expanduser()
    if (own / "genai_config.json").is_file():
        return own.resolve()
    shipped, built = folder(name) / f"onnx-{precision}", onnx_place(name, precision)
    if shipped.is_dir():
        return _compared(shipped)
    if built.is_dir():
        return built
    raise ModelError(
        f"{name} is not here as ONNX in {precision}: python -m slm onnx --model {name} --precision "
        f"{precision} builds it (it needs slm/requirements.txt). edge-slm in int4 needs nothing"
    )


def onnx_place(name: str, precision: str) -> Path:
    """Where `python -m slm onnx` puts what it builds of these weights."""
    return cache() / f"{name}-{_key(folder(name))}-onnx-{precision}"


def gguf(name: str = "edge-slm", quant: str = "Q8_0") -> Path:
    """The path of a model's GGUF file, built in the user's cache when it is not there yet.

    name: a model of the course, or the path of a .gguf file of your own, which is used as it is.
    quant: F16 and Q8_0 need nothing; llama.cpp's other types (Q4_K_M, Q2_K, ...) need the extra
    `inside`. Raises ModelError.
    """
    if name.lower().endswith(".gguf"):
        return _own_gguf(Path(name).expanduser())
    quant = quant.upper()
    if quant in {"F16", "Q8_0"}:
        return _cached(name, f"{quant}.gguf", lambda src, dst: _write_gguf(src, dst, name, quant))
    return _cached(name, f"{quant}.gguf", lambda _, dst: quantize(gguf(name, "F16"), dst, quant))


def convert(source: Path, path: Path, quant: str = "Q8_0") -> Path:
    """Write a Llama's Hugging Face folder, one that you trained say, as the GGUF file `path`.

    quant: F16 or Q8_0. The file is complete or not there at all. Returns its path. Raises
    ModelError when the folder holds no model or the type needs llama.cpp.
    """
    for file in ("config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors"):
        if not (source / file).is_file():
            raise ModelError(f"{source} is not a model's folder: it has no {file}")
    if quant.upper() not in {"F16", "Q8_0"}:
        raise ModelError(f"{quant} needs llama.cpp: convert to F16 first, then quantize that file")
    with _complete(path) as partial:
        _write_gguf(source, partial, path.stem, quant.upper())
    return path


def untrained(config: dict, path: Path, quant: str = "Q8_0") -> Path:
    """Write a Llama of any size with random weights to `path`, as a GGUF file, and return the path.

    The file is complete or not there at all. What the model says is noise. What it weighs, and how
    long a token takes, does not depend on the values of its weights: so it stands in for a model
    that is too large to come with a course.

    config: the contents of a Hugging Face config.json; a vocabulary has at least the 4,096 entries
    of the course's. quant: F16, Q8_0, Q5_1, Q5_0, Q4_1 or Q4_0; rows are multiples of 32.
    """
    import gguf as lib
    import numpy as np

    kind, random = lib.GGMLQuantizationType[quant], np.random.default_rng(0)
    heads, size = config["num_attention_heads"], config["hidden_size"]
    head = config.get("head_dim") or size // heads
    inner, kv = config["intermediate_size"], head * config["num_key_value_heads"]
    block = {
        "attn_q": (head * heads, size),
        "attn_k": (kv, size),
        "attn_v": (kv, size),
        "attn_output": (size, head * heads),
        "ffn_gate": (inner, size),
        "ffn_up": (inner, size),
        "ffn_down": (size, inner),
        "attn_norm": (size,),
        "ffn_norm": (size,),
    }
    shapes = {"token_embd": (config["vocab_size"], size), "output_norm": (size,)}
    if not config.get("tie_word_embeddings"):
        shapes["output"] = shapes["token_embd"]
    for layer in range(config["num_hidden_layers"]):
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in block.items()}

    def matrix(shape):
        few = random.normal(0, shape[1] ** -0.5, (8, shape[1])).astype(np.float32)
        few = lib.quants.quantize(few, kind)  # these rows again and again: quicker to make
        return np.resize(few, (shape[0], few.shape[1]))

    made = {shape: matrix(shape) for shape in set(shapes.values()) if len(shape) == 2}
    with _complete(path) as partial, contextlib.closing(lib.GGUFWriter(partial, "llama")) as writer:
        _add_settings(writer, folder(), config, "untrained", quant)
        for name, shape in shapes.items():
            if len(shape) == 1:
                writer.add_tensor(f"{name}.weight", np.ones(shape, np.float32))
            else:
                writer.add_tensor(f"{name}.weight", made[shape], raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    return path


def cache() -> Path:
    """Where built files are kept; XDG_CACHE_HOME moves it."""
    base = os.environ.get("XDG_CACHE_HOME") or platformdirs.user_cache_path()
    return Path(base) / "edge-agents-course"


def _compared(path: Path) -> Path:
    """The folder, when its files are those of its SHA256SUMS."""
    sums = path / "SHA256SUMS"
    lines = sums.read_text(encoding="ascii").splitlines() if sums.is_file() else ["- SHA256SUMS"]
    for line in lines:
        expected, file = line.split()
        if not (path / file).is_file() or sha256(path / file) != expected:
            raise ModelError(
                f"{path / file} is damaged or missing (its SHA-256 is not the one in SHA256SUMS). "
                f"Restore it: git checkout -- {path.relative_to(MODELS.parent).as_posix()}, or "
                f"download the course again"
            )
    return path


def _key(source: Path) -> str:
    """Changes with a model's weights, and with how files are built of them."""
    sums = (source / "SHA256SUMS").read_bytes()
    return hashlib.sha256(sums + CONVERTER.encode()).hexdigest()[:12]


def sha256(path: Path) -> str:
    """A file's SHA-256 in hexadecimal, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _own_gguf(path: Path) -> Path:
    if not path.is_file():
        raise ModelError(f"there is no file {path}: COURSE_MODEL or model= names a .gguf file")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelError(f"{path} is not a GGUF file (its first four bytes are not 'GGUF')")
    return path.resolve()


@contextlib.contextmanager
def _complete(path: Path):
    """A path to write to; what was written there comes to `path` when all went well."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="building-") as folder:
        partial = Path(folder, path.name)
        yield partial
        os.replace(partial, path)


def _cached(name: str, suffix: str, build: Callable[[Path, Path], object]) -> Path:
    """The built file for these weights. `build(folder, path)` makes it when it is not there.

    It is written beside its place and moved there when complete, so that two notebooks that build
    at once, a full disk or a killed kernel never leave half a file under the final name.
    """
    source = folder(name)
    path = cache() / f"{name}-{_key(source)}-{suffix}"
    try:
        if _is_whole(path):
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(path.parent)
        with tempfile.TemporaryDirectory(
            dir=path.parent, prefix="building-", ignore_cleanup_errors=True
        ) as partial:
            made = Path(partial, path.name)
            build(source, made)
            _checksum(made).write_text(sha256(made), encoding="ascii")
            os.replace(made, path)
            os.replace(_checksum(made), _checksum(path))
    except OSError as error:
        # On Windows a file that another notebook has just built and opened cannot be replaced.
        if _is_whole(path):
            return path
        raise ModelError(
            f"cannot write the model file {path}: {error.strerror or error}. Make room there, or "
            f"set XDG_CACHE_HOME to a folder you can write to."
        ) from error
    return path


def _checksum(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _is_whole(path: Path) -> bool:
    try:
        return _checksum(path).read_text(encoding="ascii", errors="replace") == sha256(path)
    except OSError:  # not there, or not to be read: then it must be built
        return False


def _clear_leftovers(place: Path) -> None:
    """Remove what a kernel that was killed while building left behind, an hour ago or longer."""
    for leftover in place.glob("building-*"):
        with contextlib.suppress(OSError):  # another notebook's, gone since the listing
            if time.time() - leftover.stat().st_mtime > 3600:
                shutil.rmtree(leftover)


def quantize(source: Path, path: Path, quant: str) -> None:
    """llama.cpp's own quantization of an F16 file, written to `path`. Raises ModelError."""
    try:
        import llama_cpp
    except ImportError:
        raise ModelError(
            f"{quant} needs llama-cpp-python, which compiles for some minutes: uv sync --inexact "
            f'--extra inside, or pip install -c constraints.txt -e ".[inside]". F16 and Q8_0 '
            f"need nothing"
        ) from None
    types = {
        label.removeprefix("LLAMA_FTYPE_").removeprefix("MOSTLY_"): label
        for label in dir(llama_cpp)
        if label.startswith("LLAMA_FTYPE_")
    }
    if quant not in types:
        raise ModelError(f"{quant} is no quantization of llama.cpp's: {', '.join(sorted(types))}")
    import ctypes

    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, types[quant])
    source_path, target = (str(p).encode("utf-8") for p in (source, path))
    if llama_cpp.llama_model_quantize(source_path, target, ctypes.byref(parameters)):
        raise ModelError(f"llama.cpp could not make {quant} of {source}")


# Hugging Face's names of a block's weights, and GGUF's.
_TENSORS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def _write_gguf(source: Path, path: Path, name: str, quant: str) -> None:
    """A Llama folder as GGUF: settings, tokenizer, chat template, then the tensors."""
    import gguf as lib

    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    with contextlib.closing(lib.GGUFWriter(path, "llama")) as writer:
        _fill_gguf(writer, source, config, name, quant)


def _add_settings(writer, source: Path, config: dict, name: str, quant: str) -> None:
    """What stands before the tensors: the sizes of `config`, and the tokenizer of `source`."""
    import gguf as lib

    heads = config["num_attention_heads"]
    head = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_name(name)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(head)
    if head * heads != config["hidden_size"]:
        writer.add_key_length(head)
        writer.add_value_length(head)
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(lib.LlamaFileType[f"MOSTLY_{quant}"])
    _add_tokenizer(writer, source, config)
    writer.add_quantization_version(lib.GGML_QUANT_VERSION)


def _fill_gguf(writer, source: Path, config: dict, name: str, quant: str) -> None:
    import gguf as lib
    from safetensors.numpy import load_file

    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    _add_settings(writer, source, config, name, quant)
    for label, weight in load_file(source / "model.safetensors").items():
        if label.endswith(("q_proj.weight", "k_proj.weight")):
            weight = _interleave(weight, heads if "q_proj" in label else kv_heads)
        if weight.ndim == 1:
            writer.add_tensor(_tensor_name(label), weight.astype("float32"))
        elif quant == "F16":
            writer.add_tensor(_tensor_name(label), weight.astype("float16"))
        else:
            kind = lib.GGMLQuantizationType[quant]
            blocks = lib.quants.quantize(weight.astype("float32"), kind)
            writer.add_tensor(_tensor_name(label), blocks, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()


def _tensor_name(label: str) -> str:
    """GGUF's name of a Hugging Face weight.

    >>> _tensor_name("model.layers.3.mlp.up_proj.weight")
    'blk.3.ffn_up.weight'
    """
    whole = {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    }
    if label in whole:
        return whole[label]
    layer, part = label.removeprefix("model.layers.").removesuffix(".weight").split(".", 1)
    return f"blk.{layer}.{_TENSORS[part]}.weight"


def _interleave(weight, heads: int):
    """Rows of a query or key matrix from Hugging Face's order (halves) to GGML's (pairs)."""
    return (
        weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1)
        .swapaxes(1, 2)
        .reshape(weight.shape)
    )


def _add_tokenizer(writer, source: Path, config: dict) -> None:
    """The byte-level BPE. Markers such as <tool_call> stay visible: servers drop control tokens."""
    import gguf as lib

    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    # Entries that no token takes have a name all the same: llama.cpp wants each but once.
    tokens = [f"<|unused {number}|>" for number in range(config["vocab_size"])]
    types = [lib.TokenType.UNUSED] * config["vocab_size"]
    for token, number in tokenizer["model"]["vocab"].items():
        tokens[number], types[number] = token, lib.TokenType.NORMAL
    for added in tokenizer["added_tokens"]:
        tokens[added["id"]] = added["content"]
        control = lib.TokenType.CONTROL if added["special"] else lib.TokenType.USER_DEFINED
        types[added["id"]] = control
    merges = tokenizer["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in merges])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(False)
    writer.add_chat_template((source / "chat_template.jinja").read_text(encoding="utf-8"))
