"""Checks of lab 06, the calculator: real files of shapes the notebook does not show, real servers.

Formulas are compared first, so that a mistake is named at once. Only then the last check measures:
it makes models of its own, times them in turns, and asks whether the forecast holds within 20 %.
"""

import contextlib
import json
import tempfile
from itertools import product
from numbers import Real
from pathlib import Path

import gguf

from helpers import backends, measure, model

TOLERANCE = 0.2
BLOCKS = {"F16": (2, 1), "Q8_0": (34, 32), "Q5_0": (22, 32), "Q4_0": (18, 32)}
ROUNDS = 12  # of measuring in turns, at most: a busy machine needs more of them


def _config(hidden, layers, inner, heads, kv_heads, vocab=8192, head_dim=None, tied=True):
    """The contents of a config.json; without a head_dim where that is hidden / heads."""
    config = json.loads((model.folder() / "config.json").read_text(encoding="utf-8"))
    del config["head_dim"]
    return config | {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "intermediate_size": inner,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocab,
        "tie_word_embeddings": tied,
        **({"head_dim": head_dim} if head_dim else {}),
    }


OWN = json.loads((model.MODELS / "edge-slm" / "config.json").read_text(encoding="utf-8"))
SHAPES = {
    "all heads alike": _config(128, 2, 320, 2, 2, 4096),
    "fewer KV heads": _config(128, 3, 352, 4, 1, 4096),
    "an output matrix of its own": _config(192, 2, 512, 3, 3, 4096, tied=False),
    "a head_dim of its own": _config(128, 2, 352, 4, 2, 4096, head_dim=64),
}
# Published: the sizes in each model's config.json, and how many parameters its files hold.
LLAMA_8B = _config(4096, 32, 14336, 32, 8, 128256, tied=False)
PUBLISHED = {
    "TinyLlama-1.1B": (_config(2048, 22, 5632, 32, 4, 32000, tied=False), 1_100_048_384),
    "Llama-3.1-8B": (LLAMA_8B, 8_030_261_248),
}


def check_parameters(parameters) -> None:
    """`parameters(config)` is the number of a real file's weights, for any Llama."""
    for name, config in SHAPES.items():
        with _untrained(config, "F16") as path:
            true = sum(int(tensor.n_elements) for tensor in gguf.GGUFReader(path).tensors)
        _same(parameters(dict(config)), true, f"a model with {name}", _count_mistakes(config))
    for name, (config, true) in PUBLISHED.items():
        _same(parameters(dict(config)), true, name, _count_mistakes(config))
    print(f"ok: every weight counted, in {len(SHAPES)} files and {len(PUBLISHED)} published models")


def check_weight_bytes(weight_bytes) -> None:
    """`weight_bytes(config, quant)` is the sum of the bytes of a real file's tensors."""
    for (name, config), quant in zip(SHAPES.items(), BLOCKS, strict=True):
        with _untrained(config, quant) as path:
            true = sum(int(tensor.n_bytes) for tensor in gguf.GGUFReader(path).tensors)
        what = f"a file in {quant} with {name}"
        _same(weight_bytes(dict(config), quant), true, what, _byte_mistakes(config, quant))
    for (name, (config, _)), quant in product(PUBLISHED.items(), BLOCKS):
        true, mistakes = _bytes(config, quant), _byte_mistakes(config, quant)
        _same(weight_bytes(dict(config), quant), true, f"{name} in {quant}", mistakes)
    print(f"ok: the bytes of {len(SHAPES)} real files, one each in {', '.join(BLOCKS)}")


def check_kv_bytes(kv_bytes) -> None:
    """`kv_bytes(config, context, streams)` is what a real server needs more for more context."""
    for config in (OWN, *SHAPES.values(), LLAMA_8B):
        for context, streams in ((256, 1), (2048, 1), (2048, 4)):
            true = _cache(config, context, streams)
            heads = config["num_attention_heads"] / config["num_key_value_heads"]
            head = config["hidden_size"] // config["num_attention_heads"]
            mistakes = {
                "head_dim was computed, and this config gives it": true * head / _head(config),
                "keys and values are both kept, and each number takes two bytes": true / 2,
                "keys and values are both kept, and each number takes two bytes: 4 in all": (
                    true / 4 if streams == 1 else -1
                ),
                "the heads of the queries were counted: only keys and values are kept, of "
                "num_key_value_heads": true * heads,
                "one layer alone: every layer has a cache": true / config["num_hidden_layers"],
                "one stream alone: each stream has a context of its own": true / streams,
            }
            what = f"{streams} x {context} tokens, {config['num_hidden_layers']} layers"
            _same(kv_bytes(dict(config), context, streams), true, what, mistakes)
    config, used = _config(256, 8, 512, 4, 4), []
    with _untrained(config, "F16") as path:
        for context, streams in ((512, 1), (2048, 4)):
            options = {"slots": streams, "context": context, "threads": 1}
            with backends.start("llama.cpp", str(path), **options) as server:
                used.append(server.memory())
    more = kv_bytes(config, 2048, 4) - kv_bytes(config, 512, 1)
    _near(more, used[1] - used[0], "the memory that a server takes for 7,680 tokens more")
    print("ok: for 6 shapes; and a real server took what you computed for 7,680 tokens more")


def check_calibrate(calibrate) -> None:
    """`calibrate(small, large)` gives the overhead and the rate behind two measurements."""
    for overhead, rate, sizes in ((2e-4, 2e10, (5e6, 1e8)), (3e-3, 8e9, (4e7, 6e7))):
        points = [(size, overhead + size / rate) for size in sizes]
        for small, large in (points, points[::-1]):
            got = calibrate(small, large)
            assert isinstance(got, tuple | list) and len(got) == 2, (
                f"calibrate returned {got!r}, wanted two numbers: (overhead, rate)"
            )
            inverse = (large[1] - small[1]) / (large[0] - small[0])
            assert not _is(got[0], rate), "the two are swapped: first the overhead, then the rate"
            assert not _is(got[1], inverse), (
                f"the rate is {got[1]:.3g}: these are seconds a byte. Wanted bytes a second: the "
                "difference of the sizes, divided by the difference of the times"
            )
            assert not any(_is(got[1], size / seconds) for size, seconds in points), (
                "the rate is the size divided by the time of one measurement: that counts the "
                "overhead as reading. Take the differences, in which the overhead cancels"
            )
            assert _is(got[1], rate), f"the rate is {got[1]:.4g} bytes/s, wanted {rate:.4g}"
            assert _is(got[0], overhead), (
                f"the overhead is {got[0]:.3g} s, wanted {overhead:.3g}: what is left of a time "
                "when size / rate is taken off"
            )
    print("ok: overhead and rate found again behind four pairs of measurements")


def check_forecast(forecast) -> None:
    """`forecast(config, quant, context, streams, machine)` holds within 20 % on real servers."""
    made_up = {"process": 5e7, "overhead": 1e-3, "rate": 1e10}
    for config in (*SHAPES.values(), LLAMA_8B):
        for context, streams in ((256, 1), (2048, 4)):
            for quant in ("F16", "Q4_0"):
                got = forecast(dict(config), quant, context, streams, dict(made_up))
                _formula(got, config, quant, context, streams, made_up)
    for quant in ("F16", "Q5_0"):
        _hold_to_reality(forecast, quant)


def _formula(got, config, quant, context, streams, machine):
    assert isinstance(got, dict) and set(got) == {"memory", "tokens_per_second"}, (
        f'forecast returned {got!r}, wanted {{"memory": bytes, "tokens_per_second": a number}}'
    )
    weights, cache = _bytes(config, quant), _cache(config, context, streams)
    process, overhead, rate = machine["process"], machine["overhead"], machine["rate"]
    mistakes = {
        'the program itself is missing: machine["process"]': weights + cache,
        "the KV cache is missing": process + weights,
        "the weights are missing": process + cache,
        "the cache is counted for one stream, and every stream has one": (
            process + weights + _cache(config, context, 1) if streams > 1 else -1
        ),
        "the weights are counted once a stream: all streams share them": (
            process + streams * weights + cache if streams > 1 else -1
        ),
    }
    what = f"memory in {quant} with {streams} x {context} tokens"
    _same(got["memory"], process + weights + cache, what, mistakes)
    true = 1 / (overhead + weights / rate)
    mistakes = {
        "the overhead is missing": rate / weights,
        "these are seconds a token: take 1 / seconds": 1 / true,
        "the overhead is added to the tokens, not to the seconds": rate / weights + overhead,
        "the room for the KV cache is read as well: at the beginning of an answer it is empty": (
            1 / (overhead + (weights + cache) / rate)
        ),
        "it is multiplied by the streams: wanted is the speed of one": streams * true
        if streams > 1
        else -1,
    }
    _same(got["tokens_per_second"], true, f"tokens/s in {quant}", mistakes)


def _hold_to_reality(forecast, quant):
    """Calibrate on two models, forecast a third; all three are timed in turns."""
    shapes = {
        "small": _config(512, 8, 1536, 8, 4),
        "large": _config(768, 16, 2048, 12, 4),
        "new": _config(640, 12, 1792, 10, 5),
    }
    best = dict.fromkeys(shapes, float("inf"))
    context, streams = 1024, 2
    with contextlib.ExitStack() as stack:
        servers = {}
        for name, config in shapes.items():
            path = stack.enter_context(_untrained(config, quant))
            options = {"slots": streams, "context": context, "threads": 1}
            server = backends.start("llama.cpp", str(path), **options)
            servers[name] = stack.enter_context(server)
        for done in range(1, ROUNDS + 1):
            before = dict(best)
            for name, server in servers.items():
                best[name] = min(best[name], measure.token_seconds(server, tries=8))
            machine = _machine(shapes, best, quant)
            got = forecast(dict(shapes["new"]), quant, context, streams, machine)
            steady = all(best[name] > 0.98 * before[name] for name in shapes)
            off = abs(got["tokens_per_second"] * best["new"] - 1)
            if done >= 4 and steady and off < TOLERANCE:
                break
        used = {name: server.memory() for name, server in servers.items()}
    # The program alone, seen from one model; the other one's memory is then foretold with it.
    room = _bytes(shapes["small"], quant) + _cache(shapes["small"], context, streams)
    machine["process"] = used["small"] - room
    got = forecast(dict(shapes["new"]), quant, context, streams, machine)
    busy = "Your formula is right, so this machine was busy while it was timed: run the cell again"
    memory, speed = got["memory"] / 1e6, got["tokens_per_second"]
    _near(memory, used["new"] / 1e6, f"MB of a server with a new model in {quant}", busy)
    _near(speed, 1 / best["new"], f"tokens/s of a new model in {quant}", busy)
    print(
        f"ok: {quant}, {_count(shapes['new']) / 1e6:.0f} million parameters: "
        f"{memory:.0f} MB foretold, {used['new'] / 1e6:.0f} measured; "
        f"{speed:.0f} tokens/s foretold, {1 / best['new']:.0f} measured"
    )


def _machine(shapes, seconds, quant):
    small, large = (_bytes(shapes[name], quant) for name in ("small", "large"))
    rate = (large - small) / max(seconds["large"] - seconds["small"], 1e-9)
    return {"process": 0.0, "overhead": seconds["small"] - small / rate, "rate": rate}


# ---- what is right


def _head(config):
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def _vectors(config):
    return (2 * config["num_hidden_layers"] + 1) * config["hidden_size"]


def _count(config, kv="num_key_value_heads", matrices=3, head=None, copies=None, vectors=True):
    """All parameters; the options make typical mistakes."""
    hidden, head = config["hidden_size"], head or _head(config)
    attention = 2 * hidden * head * (config["num_attention_heads"] + config[kv])
    block = attention + matrices * hidden * config["intermediate_size"]
    copies = copies or (1 if config["tie_word_embeddings"] else 2)
    matrices = copies * config["vocab_size"] * hidden + config["num_hidden_layers"] * block
    return matrices + vectors * _vectors(config)


def _bytes(config, quant):
    size, weights = BLOCKS[quant]
    vectors = _vectors(config)
    return (_count(config) - vectors) * size // weights + 4 * vectors


def _cache(config, context, streams):
    numbers = 2 * config["num_hidden_layers"] * config["num_key_value_heads"] * _head(config)
    return 2 * numbers * context * streams


def _byte_mistakes(config, quant):
    (size, weights), vectors, count = BLOCKS[quant], _vectors(config), _count(config)
    matrices = count - vectors
    return {
        "the vectors are quantized too. Norms stay in float32, 4 bytes a number, in every format": (
            count * size / weights
        ),
        "the vectors are missing: norms take 4 bytes a number": matrices * size / weights,
        "the vectors are counted twice, in the blocks and beside them": (
            count * size / weights + 4 * vectors
        ),
        "the scales are missing: a block in BLOCKS has them, 34 bytes for 32 weights in Q8_0": (
            matrices * {"F16": -1, "Q8_0": 8, "Q5_0": 5, "Q4_0": 4}[quant] / 8 + 4 * vectors
        ),
        "these are bits, wanted bytes": 8 * _bytes(config, quant),
        "every number takes a whole block: divide by its weights": matrices * size + 4 * vectors,
    }


def _count_mistakes(config):
    return {
        "keys and values have as many heads as the queries in it. Their matrices have "
        "num_key_value_heads times head_dim rows": _count(config, kv="num_attention_heads"),
        "two matrices a feed-forward. There are three: gate, up and down": _count(
            config, matrices=2
        ),
        "the embedding was counted once, although tie_word_embeddings is false: then the output "
        "has a matrix of its own": _count(config, copies=1),
        "the embedding was counted twice. Where tie_word_embeddings is true the output uses the "
        "same matrix": _count(config, copies=2),
        "head_dim was computed, and this config gives it": _count(
            config, head=config["hidden_size"] // config["num_attention_heads"]
        ),
        "the norms are missing: two a layer and one at the end, of hidden_size each": _count(
            config, vectors=False
        ),
        "one norm is missing or too many: two a layer and one at the end": _count(config)
        - config["hidden_size"],
    }


# ---- what the checks share


@contextlib.contextmanager
def _untrained(config, quant):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield model.untrained(config, Path(folder, f"{quant}.gguf"), quant)


def _is(got, wanted):
    return isinstance(got, Real) and abs(got - wanted) <= 1e-6 * abs(wanted)


def _same(got, wanted, what, mistakes):
    assert got is not None, "it returned None. Does the function end with `return`?"
    if _is(got, wanted):
        return
    likely = next((text for text, value in mistakes.items() if _is(got, value)), "")
    shown = f"{got:,.10g}" if isinstance(got, Real) else f"{got!r}"
    raise AssertionError(f"{what}: {shown}, wanted {wanted:,.10g}. {likely}".rstrip())


def _near(got, measured, what, hint=""):
    assert abs(got / measured - 1) <= TOLERANCE, (
        f"{what}: {got:.4g} foretold and {measured:.4g} measured, more than 20 % apart. {hint}"
    )
