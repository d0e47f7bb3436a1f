"""Typical wrong answers to lab 07, see lab01.py here."""

import struct

import numpy as np

FORMATS = "<B <b <H <h <I <i <f <? string array <Q <q <d".split()
SCALARS = dict(enumerate(FORMATS))


def any_file(data):
    return struct.unpack_from("<4sIQQ", data)[1:]


def any_version(data):
    magic, *numbers = struct.unpack_from("<4sIQQ", data)
    if magic != b"GGUF":
        raise ValueError("not a GGUF file")
    return tuple(numbers)


def short_counts(data):
    return struct.unpack_from("<4sIII", data)[1:]


def swapped_counts(data):
    _, version, tensors, pairs = struct.unpack_from("<4sIQQ", data)
    return version, pairs, tensors


def exact_length(data):
    return struct.unpack("<4sIQQ", data)[1:]


def with_magic(data):
    return struct.unpack_from("<4sIQQ", data)


def read_value(data, at, kind, scalars=SCALARS, strings=True, encoding="utf-8", nested=True, n=0):
    """Right as it is called by default; the arguments make the mistakes."""
    if kind == 8:
        (length,) = struct.unpack_from("<Q", data, at)
        raw = data[at + 8 : at + 8 + length]
        return raw.decode(encoding) if strings else raw, at + 8 + length - n
    if kind == 9:
        item, count = struct.unpack_from("<IQ", data, at)
        at, values = at + 12, []
        for _ in range(count):
            value, at = read_value(data, at, item if nested else 5, scalars, strings, encoding)
            values.append(value)
        return values, at
    (value,) = struct.unpack_from(scalars[kind], data, at)
    return value, at + struct.calcsize(scalars[kind])


def bytes_not_text(data, at, kind):
    return read_value(data, at, kind, strings=False)


def latin_text(data, at, kind):
    return read_value(data, at, kind, encoding="latin-1")


def bool_as_number(data, at, kind):
    return read_value(data, at, kind, scalars={**SCALARS, 7: "<B"})


def float_as_double(data, at, kind):
    return read_value(data, at, kind, scalars={**SCALARS, 6: "<d"})


def no_strings_in_arrays(data, at, kind):
    return read_value(data, at, kind, nested=False)


def length_forgotten(data, at, kind):
    return read_value(data, at, kind, n=8)


def value_only(data, at, kind):
    return read_value(data, at, kind)[0]


def read_gguf(data, reverse=True, absolute=True, alignment=None, always=False, skip=0, width="Q"):
    """Right as it is called by default; the arguments make the mistakes."""
    _, _, tensors, pairs = struct.unpack_from("<4sIQQ", data)
    at, metadata, table = 24, {}, []
    for _ in range(pairs):
        key, at = read_value(data, at, 8)
        (kind,) = struct.unpack_from("<I", data, at)
        metadata[key], at = read_value(data, at + 4, kind)
    table_at = at
    for _ in range(tensors):
        name, at = read_value(data, at, 8)
        (count,) = struct.unpack_from("<I", data, at)
        layout = f"<{count}{width}IQ"
        *shape, kind, offset = struct.unpack_from(layout, data, at + 4)
        at += 4 + struct.calcsize(layout)
        table.append((name, tuple(shape[::-1] if reverse else shape), kind, offset))
    step = alignment or metadata.get("general.alignment", 32)
    data_at = at + (step - at % step if always else -at % step) if not skip else at
    shift = data_at if absolute else 0
    return metadata, [(n, s, k, o + shift) for n, s, k, o in table], table_at, data_at


def numpy_order_forgotten(data):
    return read_gguf(data, reverse=False)


def offsets_relative(data):
    return read_gguf(data, absolute=False)


def alignment_fixed(data):
    return read_gguf(data, alignment=32)


def always_padded(data):
    return read_gguf(data, always=True)


def never_padded(data):
    return read_gguf(data, skip=True)


def short_dimensions(data):
    return read_gguf(data, width="I")


def roundf(x):
    whole = np.trunc(x)
    return whole + np.trunc(2 * (x - whole))


def quantize(weights, most=127, rounding=roundf, wide=False, stored=False, divide=False):
    """Right as it is called by default; the arguments make the mistakes."""
    blocks = weights.reshape(-1, 32)
    d = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(most)
    used = d.astype(np.float16).astype(np.float32) if stored else d
    x = blocks.astype(np.float64) if wide else blocks
    inverse = np.divide(1, used, out=np.zeros_like(used), where=used > 0)
    scaled = np.divide(x, used, out=np.zeros_like(x), where=used > 0) if divide else x * inverse
    return packed(weights, d, rounding(scaled))


def packed(weights, d, q):
    raw = [d.astype(np.float16).view(np.uint8), q.astype(np.int8).view(np.uint8)]
    return np.hstack(raw).reshape(*weights.shape[:-1], -1)


def half_to_even(weights):
    return quantize(weights, rounding=np.round)


def cut_off(weights):
    return quantize(weights, rounding=np.trunc)


def add_a_half(weights):
    return quantize(weights, rounding=lambda x: np.trunc(x + np.copysign(np.float32(0.5), x)))


def by_128(weights):
    return quantize(weights, most=128)


def with_stored_scale(weights):
    return quantize(weights, stored=True)


def divided(weights):
    return quantize(weights, divide=True)


def in_float64(weights):
    return quantize(weights, wide=True)


def without_abs(weights):
    blocks = weights.reshape(-1, 32)
    d = blocks.max(axis=1, keepdims=True) / np.float32(127)
    return packed(weights, d, roundf(blocks / d))


def one_scale(weights):
    blocks = weights.reshape(-1, 32)
    d = np.broadcast_to(np.abs(blocks).max() / np.float32(127), (len(blocks), 1))
    return packed(weights, d, roundf(blocks / d))


def zeros_divided(weights):
    blocks = weights.reshape(-1, 32)
    d = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    return packed(weights, d, roundf(blocks * (1 / d)))


def scale_last(weights):
    blocks = quantize(weights).reshape(-1, 34)
    return np.hstack([blocks[:, 2:], blocks[:, :2]]).reshape(*weights.shape[:-1], -1)


def one_long_row(weights):
    return quantize(weights).ravel()


def values_not_bytes(weights):
    blocks = weights.reshape(-1, 32)
    return roundf(blocks * (127 / np.abs(blocks).max(axis=1, keepdims=True)))


def write_table(tensors, alignment, reverse=True, pad=True, first=0):
    """Right as it is called by default; the arguments make the mistakes."""
    table, offset = b"", first
    for name, shape, kind, size in tensors:
        text, shape = name.encode("utf-8"), shape[::-1] if reverse else shape
        layout = f"<Q{len(text)}sI{len(shape)}QIQ"
        table += struct.pack(layout, len(text), text, len(shape), *shape, kind, offset)
        offset += size + (-size % alignment if pad else 0)
    return table


def table_in_numpy_order(tensors, alignment):
    return write_table(tensors, alignment, reverse=False)


def table_without_padding(tensors, alignment):
    return write_table(tensors, alignment, pad=False)


def table_of_32(tensors, alignment):
    return write_table(tensors, 32)


def table_of_positions(tensors, alignment):
    return write_table(tensors, alignment, first=4096)


def table_as_list(tensors, alignment):
    return [write_table([tensor], alignment) for tensor in tensors]


WRONG = {
    "check_header": [
        (any_file, "b'GGML'"),
        (any_version, "version is 1"),
        (short_counts, "eight"),
        (swapped_counts, "swapped"),
        (exact_length, "unpack_from"),
        (with_magic, "tuple wanted"),
    ],
    "check_value": [
        (bytes_not_text, "UTF-8"),
        (latin_text, "UTF-8"),
        (bool_as_number, "SCALARS[7]"),
        (float_as_double, "SCALARS[6]"),
        (no_strings_in_arrays, "read_value itself"),
        (length_forgotten, "-8 bytes off"),
        (value_only, "where it ends"),
    ],
    "check_read": [
        (numpy_order_forgotten, "reverse them"),
        (offsets_relative, "Add data_at"),
        (alignment_fixed, "general.alignment"),
        (always_padded, "-end % alignment"),
        (never_padded, "-end % alignment"),
        (short_dimensions, "a Q for each"),
    ],
    "check_quantize": [
        (half_to_even, "away from zero"),
        (cut_off, "cut off"),
        (add_a_half, "0.49999997"),
        (by_128, "wanted 127"),
        (with_stored_scale, "float16"),
        (divided, "multiplies by 1/d"),
        (in_float64, "multiplies by 1/d"),
        (without_abs, "np.abs"),
        (one_scale, "same in all blocks"),
        (zeros_divided, "d = 0"),
        (scale_last, "d stands first"),
        (one_long_row, "34 bytes"),
        (values_not_bytes, "uint8"),
    ],
    "check_table": [
        (table_in_numpy_order, "reversed"),
        (table_without_padding, "-size % alignment"),
        (table_of_32, "argument `alignment`"),
        (table_of_positions, "first difference"),
        (table_as_list, "wanted bytes"),
    ],
}
