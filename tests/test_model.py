"""Model files: right, verified, atomic, and clear errors when something is wrong."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file

from helpers import backends, model

F16 = gguf.GGMLQuantizationType.F16


@pytest.fixture
def own_models(tmp_path, monkeypatch):
    """A copy of the course's models that a test may damage."""
    shutil.copytree(model.MODELS, tmp_path / "models")
    monkeypatch.setattr(model, "MODELS", tmp_path / "models")
    return tmp_path / "models"


def tensors(path):
    return {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}


def test_f16_holds_the_weights_as_they_are(new_cache):
    made = tensors(model.gguf("edge-slm", "F16"))
    source = load_file(model.folder("edge-slm") / "model.safetensors")
    assert len(made) == len(source)
    np.testing.assert_array_equal(
        made["token_embd.weight"].data, source["model.embed_tokens.weight"]
    )
    np.testing.assert_array_equal(
        made["blk.2.ffn_up.weight"].data, source["model.layers.2.mlp.up_proj.weight"]
    )


def test_query_and_key_rows_are_reordered_for_ggml():
    # Two heads of four rows: halves (0 1 | 2 3) become pairs (0 2 1 3).
    rows = np.arange(8.0).reshape(8, 1)
    assert model._interleave(rows, heads=2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_q8_0_is_close_and_half_the_size(new_cache):
    f16, q8 = model.gguf("edge-slm", "F16"), model.gguf("edge-slm", "Q8_0")
    assert q8.stat().st_size < 0.58 * f16.stat().st_size
    tensor = tensors(q8)["blk.0.ffn_down.weight"]
    true = tensors(f16)["blk.0.ffn_down.weight"].data.astype(np.float32)
    error = np.abs(gguf.dequantize(tensor.data, tensor.tensor_type) - true)
    assert error.max() <= np.abs(true).max() / 127


@pytest.mark.needs("inside")
@pytest.mark.parametrize("quant", ["Q4_K_M", "Q2_K"])
def test_other_types_are_llama_cpps_own(new_cache, quant):
    path = model.gguf("edge-slm", quant)
    assert path.stat().st_size < model.gguf("edge-slm", "Q8_0").stat().st_size
    assert len(tensors(path)) == len(tensors(model.gguf("edge-slm", "F16")))


@pytest.mark.needs("inside")
def test_an_unknown_type_names_the_known_ones(new_cache):
    with pytest.raises(model.ModelError, match="Q4_K_M"):
        model.gguf("edge-slm", "Q9_9")


def test_without_llama_cpp_python_the_error_says_how_to_get_it(new_cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    with pytest.raises(model.ModelError, match="--extra inside"):
        model.gguf("edge-slm", "Q4_K_M")


def test_the_file_is_built_once(new_cache):
    first = model.gguf("edge-slm")
    changed = first.stat().st_mtime_ns
    assert model.gguf("edge-slm") == first
    assert first.stat().st_mtime_ns == changed


def test_a_truncated_file_in_the_cache_is_built_again(new_cache):
    path = model.gguf("edge-slm")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert model.gguf("edge-slm").read_bytes() == whole


def test_truncated_weights_are_named(own_models, new_cache):
    weights = own_models / "edge-slm" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(model.ModelError, match=r"model\.safetensors is damaged.*git checkout"):
        model.gguf("edge-slm")
    assert not new_cache.exists()


def test_one_wrong_byte_is_noticed(own_models, new_cache):
    tokenizer = own_models / "edge-slm" / "tokenizer.json"
    data = bytearray(tokenizer.read_bytes())
    data[1000] ^= 1
    tokenizer.write_bytes(data)
    with pytest.raises(model.ModelError, match=r"tokenizer\.json is damaged"):
        model.gguf("edge-slm")


def test_a_missing_file_is_named(own_models, new_cache):
    (own_models / "edge-slm" / "config.json").unlink()
    with pytest.raises(model.ModelError, match=r"config\.json is damaged or missing"):
        model.gguf("edge-slm")


def test_a_model_without_its_checksums_is_damaged(own_models, new_cache):
    (own_models / "edge-slm" / "SHA256SUMS").unlink()
    with pytest.raises(model.ModelError, match="SHA256SUMS is damaged or missing"):
        model.gguf("edge-slm")


def test_an_unknown_model_names_the_known_ones():
    with pytest.raises(model.ModelError, match="the course has edge-slm"):
        model.gguf("edge-slim")


def test_new_weights_get_a_new_file(own_models, new_cache):
    old = model.gguf("edge-slm")
    folder = own_models / "edge-slm"
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"note": "new"}), encoding="utf-8")
    sums = (folder / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    digest = hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()
    sums = [f"{digest}  config.json" if "  config.json" in line else line for line in sums]
    (folder / "SHA256SUMS").write_text("\n".join(sums) + "\n", encoding="ascii")
    assert model.gguf("edge-slm") != old


def test_an_own_gguf_is_used_as_it_is(tmp_path):
    path = tmp_path / "mine.gguf"
    with pytest.raises(model.ModelError, match="there is no file"):
        model.gguf(str(path))
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(model.ModelError, match="is not a GGUF file"):
        model.gguf(str(path))
    path.write_bytes(b"GGUF....")
    assert model.gguf(str(path)) == path


def test_eight_builds_at_once_give_one_whole_file(new_cache):
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(lambda _: model.gguf("edge-slm"), range(8)))
    assert len(paths) == 1
    assert len(tensors(paths.pop())) > 0
    assert sorted(path.suffix for path in model.cache().iterdir()) == [".gguf", ".sha256"]


def test_what_a_killed_build_left_is_cleared_later(new_cache):
    old, young = model.cache() / "building-old", model.cache() / "building-young"
    for leftover in (old, young):
        leftover.mkdir(parents=True)
        (leftover / "half.gguf").write_bytes(b"GGUF")
    os.utime(old, (0, 0))
    model.gguf("edge-slm")
    assert young.exists() and not old.exists()


def test_a_file_that_another_notebook_built_first_is_taken(new_cache, monkeypatch):
    # On Windows a file that is open cannot be replaced.
    def replace_of_windows(source, target):
        if not replaced:
            replaced.append(real(source, target))
            real(model._checksum(source), model._checksum(target))
        raise PermissionError(13, "Access is denied")

    real, replaced = os.replace, []
    monkeypatch.setattr(os, "replace", replace_of_windows)
    assert model.gguf("edge-slm").exists()


def test_a_cache_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(model.ModelError, match="set XDG_CACHE_HOME"):
        model.gguf("edge-slm")


@pytest.mark.needs("posix")
def test_a_read_only_cache_is_named(tmp_path, monkeypatch):
    place = tmp_path / "cache"
    place.mkdir()
    if os.geteuid() == 0:
        # Modes do not bind root. The kernel's own read-only file system does.
        place = "/sys"
    else:
        place.chmod(0o500)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place))
    with pytest.raises(model.ModelError, match="cannot write the model file"):
        model.gguf("edge-slm")


@pytest.mark.needs("posix")
def test_a_full_disk_is_named_and_leaves_nothing(new_cache):
    # A limit on file sizes stops the writing half-way, as a full disk does.
    script = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
from helpers import backends, model
try:
    model.gguf("edge-slm")
except model.ModelError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", timeout=60
    )
    assert "cannot write the model file" in done.stdout, done.stderr
    assert "Make room there" in done.stdout
    assert list(model.cache().iterdir()) == []


def test_an_untrained_model_has_the_sizes_of_its_config_and_runs(tmp_path):
    config = json.loads((model.folder() / "config.json").read_text(encoding="utf-8"))
    sizes = {"hidden_size": 128, "num_hidden_layers": 2, "vocab_size": 5000, "head_dim": 64}
    config |= sizes | {"tie_word_embeddings": False}
    path = model.untrained(config, tmp_path / "noise.gguf", "Q4_0")
    made = tensors(path)
    assert made["output.weight"].shape.tolist() == [128, 5000]
    assert made["blk.1.attn_q.weight"].shape.tolist() == [128, 4 * 64]
    assert made["blk.1.attn_v.weight"].tensor_type == gguf.GGMLQuantizationType.Q4_0
    with backends.start("llama.cpp", str(path), slots=1, context=256) as backend:
        reply = backend.openai().completions.create(model="noise", prompt="1", max_tokens=3)
    assert reply.usage.completion_tokens >= 1


def test_a_folder_of_ones_own_becomes_the_file_the_course_makes(tmp_path, new_cache):
    made = model.convert(model.folder("edge-slm"), tmp_path / "edge-slm.gguf")
    assert made.read_bytes() == model.gguf("edge-slm").read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["edge-slm.gguf"]


def test_what_is_no_folder_of_a_model_is_named_and_leaves_nothing(tmp_path):
    with pytest.raises(model.ModelError, match=r"it has no config\.json"):
        model.convert(tmp_path, tmp_path / "mine.gguf")
    with pytest.raises(model.ModelError, match="convert to F16 first"):
        model.convert(model.folder("edge-slm"), tmp_path / "mine.gguf", "Q4_K_M")
    assert list(tmp_path.iterdir()) == []
