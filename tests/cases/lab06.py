"""Typical wrong answers to lab 06, see lab01.py here."""

BLOCKS = {"F16": (2, 1), "Q8_0": (34, 32), "Q5_0": (22, 32), "Q4_0": (18, 32)}


def head_dim(config):
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def parameters(config, kv="num_key_value_heads", matrices=3, head=None, tied=None, norms=2):
    """Right as it is called by default; the arguments make the mistakes."""
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    attention = 2 * hidden * (head or head_dim(config)) * (config["num_attention_heads"])
    attention += 2 * hidden * (head or head_dim(config)) * config[kv]
    block = attention + matrices * hidden * config["intermediate_size"]
    tied = config["tie_word_embeddings"] if tied is None else tied
    embedding = (1 if tied else 2) * config["vocab_size"] * hidden
    return embedding + layers * block + (norms * layers + (norms > 0)) * hidden


def as_many_kv_heads(config):
    return parameters(config, kv="num_attention_heads")


def two_matrices(config):
    return parameters(config, matrices=2)


def always_tied(config):
    return parameters(config, tied=True)


def never_tied(config):
    return parameters(config, tied=False)


def without_norms(config):
    return parameters(config, norms=0)


def head_computed(config):
    return parameters(config, head=config["hidden_size"] // config["num_attention_heads"])


def no_return(config):
    parameters(config)


def vectors(config):
    return (2 * config["num_hidden_layers"] + 1) * config["hidden_size"]


def weight_bytes(config, quant, blocks=BLOCKS):
    size, weights = blocks[quant]
    return (parameters(config) - vectors(config)) * size // weights + 4 * vectors(config)


def vectors_in_blocks(config, quant):
    size, weights = BLOCKS[quant]
    return parameters(config) * size / weights


def without_scales(config, quant):
    return weight_bytes(config, quant, {"F16": (2, 1), "Q8_0": (32, 32), "Q4_0": (16, 32)})


def in_bits(config, quant):
    return 8 * weight_bytes(config, quant)


def a_block_each(config, quant):
    return weight_bytes(config, quant, {quant: (size, 1) for quant, (size, _) in BLOCKS.items()})


def kv_bytes(config, context, streams, kv="num_key_value_heads", size=4, head=None, layers=None):
    """Right as it is called by default; the arguments make the mistakes."""
    numbers = (layers or config["num_hidden_layers"]) * config[kv] * (head or head_dim(config))
    return size * numbers * context * streams


def keys_only(config, context, streams):
    return kv_bytes(config, context, streams, size=2)


def numbers_not_bytes(config, context, streams):
    return kv_bytes(config, context, streams, size=1)


def query_heads(config, context, streams):
    return kv_bytes(config, context, streams, kv="num_attention_heads")


def one_layer(config, context, streams):
    return kv_bytes(config, context, streams, layers=1)


def one_stream(config, context, streams):
    return kv_bytes(config, context, 1)


def kv_head_computed(config, context, streams):
    head = config["hidden_size"] // config["num_attention_heads"]
    return kv_bytes(config, context, streams, head=head)


def calibrate(small, large):
    rate = (large[0] - small[0]) / (large[1] - small[1])
    return small[1] - small[0] / rate, rate


def swapped(small, large):
    return calibrate(small, large)[::-1]


def seconds_a_byte(small, large):
    overhead, rate = calibrate(small, large)
    return overhead, 1 / rate


def no_overhead(small, large):
    return 0.0, large[0] / large[1]


def overhead_of_small(small, large):
    return small[1], calibrate(small, large)[1]


def rate_alone(small, large):
    return calibrate(small, large)[1]


def forecast(config, quant, context, streams, machine, process=1, weights=1, cache=1, overhead=1):
    """Right as it is called by default; the arguments make the mistakes."""
    size, room = weight_bytes(config, quant), kv_bytes(config, context, streams)
    memory = process * machine["process"] + weights * size + cache * room
    seconds = overhead * machine["overhead"] + size / machine["rate"]
    return {"memory": memory, "tokens_per_second": 1 / seconds}


def program_forgotten(*given):
    return forecast(*given, process=0)


def cache_forgotten(*given):
    return forecast(*given, cache=0)


def weights_for_each(config, quant, context, streams, machine):
    return forecast(config, quant, context, streams, machine, weights=streams)


def overhead_forgotten(*given):
    return forecast(*given, overhead=0)


def seconds_not_speed(*given):
    right = forecast(*given)
    return right | {"tokens_per_second": 1 / right["tokens_per_second"]}


def all_streams_together(config, quant, context, streams, machine):
    right = forecast(config, quant, context, streams, machine)
    return right | {"tokens_per_second": streams * right["tokens_per_second"]}


def memory_alone(*given):
    return forecast(*given)["memory"]


WRONG = {
    "check_parameters": [
        (as_many_kv_heads, "num_key_value_heads"),
        (two_matrices, "gate, up and down"),
        (always_tied, "a matrix of its own"),
        (never_tied, "uses the same matrix"),
        (without_norms, "norms are missing"),
        (head_computed, "head_dim was computed"),
        (no_return, "end with `return`"),
    ],
    "check_weight_bytes": [
        (vectors_in_blocks, "float32"),
        (without_scales, "scales are missing"),
        (in_bits, "wanted bytes"),
        (a_block_each, "divide by its weights"),
    ],
    "check_kv_bytes": [
        (keys_only, "two bytes"),
        (numbers_not_bytes, "4 in all"),
        (query_heads, "num_key_value_heads"),
        (one_layer, "every layer"),
        (one_stream, "each stream"),
        (kv_head_computed, "head_dim was computed"),
    ],
    "check_calibrate": [
        (swapped, "swapped"),
        (seconds_a_byte, "seconds a byte"),
        (no_overhead, "counts the overhead"),
        (overhead_of_small, "what is left of a time"),
        (rate_alone, "two numbers"),
    ],
    "check_forecast": [
        (program_forgotten, "program itself"),
        (cache_forgotten, "cache is missing"),
        (weights_for_each, "share them"),
        (overhead_forgotten, "overhead is missing"),
        (seconds_not_speed, "1 / seconds"),
        (all_streams_together, "speed of one"),
        (memory_alone, "wanted {"),
    ],
}
