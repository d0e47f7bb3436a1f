"""Checks of lab 07: small files written here, and what the `gguf` package makes of them."""

import itertools
import struct
import tempfile
from pathlib import Path

import gguf
import numpy as np

STRING, ARRAY = gguf.GGUFValueType.STRING, gguf.GGUFValueType.ARRAY
Q8_0 = gguf.GGMLQuantizationType.Q8_0
LOST = (struct.error, UnicodeDecodeError, LookupError, MemoryError, OverflowError, RecursionError)


def check_header(read_header) -> None:
    """`read_header(data)`: version, tensors, metadata pairs; ValueError for what is no GGUF."""
    rng = np.random.default_rng(7101)
    for version in (2, 3, 3):
        wanted = (version, *(int(n) for n in rng.integers(2**33, 2**60, 2)))
        data = struct.pack("<4sIQQ", b"GGUF", *wanted)
        try:
            got = read_header(data + b"what follows")
        except (struct.error, ValueError) as error:
            raise AssertionError(
                f"a header of version {version} gave {type(error).__name__}: {error}. It has 24 "
                'bytes, "<4sIQQ"; struct.unpack_from(format, data) lets more bytes follow'
            ) from error
        got = _tuple(got, 3, "version, tensors, metadata pairs")
        assert got != (version, wanted[2], wanted[1]), (
            "the two counts are swapped: the tensors come first, then the metadata pairs"
        )
        assert got == wanted, (
            f"the header is {got}, wanted {wanted}. All numbers have their smallest byte first "
            '("<"); the version has four bytes ("I"), each count has eight ("Q")'
        )
    _refused(read_header, b"GGML", 3, "its first four bytes are b'GGML', not b'GGUF'")
    _refused(read_header, b"GGUF", 1, "its version is 1, in which a count had only four bytes")
    print("ok: three headers read, and two files refused that are no GGUF of version 2 or 3")


def check_value(read_value) -> None:
    """`read_value(data, at, kind)`: a value of any of the 13 types, and where it ends."""
    cases = _values()
    for name, value, kind, data, begins, ends in cases:
        hint = _value_hint(kind)
        try:
            got = read_value(data, begins, kind)
        except LOST as error:
            raise AssertionError(f"{name}: {type(error).__name__}: {error}. {hint}") from error
        got, end = _tuple(got, 2, "a value and where it ends")
        assert _same(got, value), f"{name}: read {got!r:.80}, wanted {value!r:.80}. {hint}"
        assert end == ends, (
            f"{name}: the value is right, but its end is {end - ends:+} bytes off. Return the "
            "position after the value: after a string's text, after an array's last item"
        )
    print(f"ok: {len(cases)} values of all 13 types, nested and empty arrays among them")


def check_read(read_gguf) -> None:
    """`read_gguf(data)` finds what the `gguf` package finds in files written here."""
    for alignment, seed, full in ((32, 7301, False), (256, 7302, False), (32, 7303, True)):
        data, truth = _file(alignment, seed, full)
        try:
            got = read_gguf(data)
        except LOST as error:
            raise AssertionError(
                f"{type(error).__name__}: {error}. The reading got lost: an entry of the table is "
                "a string (the name), I (how many dimensions), a Q for each, I (type), Q (offset)"
            ) from error
        metadata, tensors, table_at, data_at = _tuple(got, 4, "metadata, tensors, table, data")
        for key, value in truth["metadata"].items():
            assert metadata.get(key) == value, (
                f"metadata[{key!r}] is {metadata.get(key)!r:.60}, wanted {value!r:.60}. A pair is "
                "a string, a type (I) and a value, and the first begins at byte 24"
            )
        assert table_at == truth["table_at"], (
            f"table_at is {table_at}, wanted {truth['table_at']}: the table begins where the last "
            "pair of the metadata ends"
        )
        assert data_at == truth["data_at"], (
            f"data_at is {data_at}, wanted {truth['data_at']}: the table ends at "
            f"{truth['ends']}, and the alignment is {alignment} here. Add -end % alignment, with "
            'metadata["general.alignment"] where it is given and 32 where not'
        )
        assert len(tensors) == len(truth["tensors"]), (
            f"{len(tensors)} tensors read, wanted {len(truth['tensors'])}"
        )
        for tensor, wanted in zip(tensors, truth["tensors"], strict=True):
            _tensor(_tuple(tensor, 4, "name, shape, kind, at"), wanted, data_at)
    print("ok: three files read as the gguf package reads them, with alignments of 32 and 256")


def check_quantize(quantize_q8_0) -> None:
    """`quantize_q8_0(weights)` makes the very bytes that llama.cpp makes."""
    cases = _weights()
    for name, weights in cases.items():
        with np.errstate(all="ignore"):  # what overflows here overflows in C too
            wanted = gguf.quants.quantize(weights, Q8_0)
        try:
            with np.errstate(all="ignore", invalid="raise"):
                got = quantize_q8_0(weights.copy())
        except FloatingPointError as error:
            raise AssertionError(
                f"{name}: {error}. A block of zeros has d = 0, and 0 times 1/0 is not a number: "
                "take 0 in place of 1/d there"
            ) from error
        assert isinstance(got, np.ndarray) and got.dtype == np.uint8, (
            f"{name}: quantize_q8_0 returned {getattr(got, 'dtype', got)}, wanted an array of "
            "uint8, the bytes of scales and integers: .view(np.uint8). Does it end with `return`?"
        )
        assert got.shape == wanted.shape, (
            f"{name}: {weights.shape} weights became {got.shape} bytes, wanted {wanted.shape}: "
            "34 bytes for each block of 32 weights, the blocks of a row one after the other"
        )
        if not np.array_equal(got, wanted):
            blocks = weights.reshape(-1, 32), got.reshape(-1, 34), wanted.reshape(-1, 34)
            raise AssertionError(f"{name}: {_what_is_wrong(*blocks)}")
    total = sum(weights.size for weights in cases.values())
    print(f"ok: every byte as llama.cpp's, for {total:,} weights your notebook does not show")


def check_table(write_table) -> None:
    """`write_table(tensors, alignment)` is, byte for byte, the table that the package writes."""
    for alignment, seed in ((32, 7501), (128, 7502)):
        data, truth = _file(alignment, seed)
        tensors = [
            (name, shape, kind, size)
            for (name, shape, kind, _), size in zip(truth["tensors"], truth["sizes"], strict=True)
        ]
        got, wanted = write_table(tensors, alignment), data[truth["table_at"] : truth["ends"]]
        assert isinstance(got, bytes | bytearray), (
            f"write_table returned {type(got).__name__}, wanted bytes: add up what struct.pack "
            "gives. Does it end with `return`?"
        )
        wrong = {
            _table(tensors, alignment, forward=True): "the dimensions are in NumPy's order: the "
            "file wants them reversed, the one that stands side by side first",
            _table(tensors, 1): "the offsets do not leave room for the padding: after a tensor of "
            "`size` bytes come -size % alignment more",
            _table(tensors, 32 if alignment == 128 else 128): "the padding is not that of the "
            "argument `alignment`",
            _table(tensors, alignment, first=truth["data_at"]): "an offset counts from where the "
            "data begin, so the first tensor's is 0",
        }
        assert got == wanted, (
            f"{len(got)} bytes with alignment {alignment}, wanted {len(wanted)}: "
            + wrong.get(bytes(got), f"the first difference is at byte {_differ(got, wanted)}")
            + ". An entry is Q and the name, I (dimensions), a Q for each, I (type), Q (offset)"
        )
    print("ok: two tables equal the gguf package's byte for byte, with alignments of 32 and 128")


# ---- what the checks share


def _tuple(result, length, what):
    assert isinstance(result, tuple) and len(result) == length, (
        f"{result!r:.80} is not the tuple wanted ({what}). Does every path end with a return?"
    )
    return tuple(result)


def _refused(read_header, magic, version, why):
    try:
        read_header(struct.pack("<4sIQQ", magic, version, 1, 2))
    except ValueError:
        return
    raise AssertionError(
        f"a file was read although {why}. Raise ValueError: what follows would be nonsense"
    )


def _values():
    """(name, value, type, data, begins, ends) of metadata that the gguf package writes."""
    rng = np.random.default_rng(7201)
    types = gguf.GGUFValueType
    cases = {
        "uint8": (int(rng.integers(128, 256)), types.UINT8),
        "int8": (-int(rng.integers(1, 128)), types.INT8),
        "uint16": (int(rng.integers(2**15, 2**16)), types.UINT16),
        "int16": (-int(rng.integers(1, 2**15)), types.INT16),
        "uint32": (int(rng.integers(2**31, 2**32)), types.UINT32),
        "int32": (-int(rng.integers(1, 2**31)), types.INT32),
        "uint64": (2**63 + int(rng.integers(2**60)), types.UINT64),
        "int64": (-int(rng.integers(2**33, 2**62)), types.INT64),
        "float32": (float(np.float32(rng.normal())), types.FLOAT32),
        "float64": (float(rng.normal()), types.FLOAT64),
        "a true bool": (True, types.BOOL),
        "a false bool": (False, types.BOOL),
        "a string": ("Zürich, 21 °C", STRING),
        "an empty string": ("", STRING),
        "an array of int32": (rng.integers(-99, 99, 7).tolist(), ARRAY),
        "an array of strings": (["Ġthe", "", "größer"], ARRAY),
        "an array of bools": ([True, False, True], ARRAY),
        "an array of arrays": ([[1, -2], [3]], ARRAY),
        "an array of arrays of strings": ([["a"], ["b", "ç"]], ARRAY),
        "the end": (0, types.UINT8),
    }
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "values.gguf")
        writer = gguf.GGUFWriter(path, "llama")
        for name, (value, kind) in cases.items():
            writer.add_key_value(name, value, kind)
        _close(writer)
        fields = gguf.GGUFReader(path).fields
        begins = {n: f.offset + sum(part.nbytes for part in f.parts[:3]) for n, f in fields.items()}
        data, names = path.read_bytes(), list(cases)
        written = [
            (name, *cases[name], data, begins[name], fields[after].offset)
            for name, after in itertools.pairwise(names)
        ]
    empty = struct.pack("<IQ", types.UINT32, 0)  # the package does not write one
    return [*written, ("an empty array", [], ARRAY, empty + b"\1\2\3\4", 0, len(empty))]


def _value_hint(kind):
    if kind == STRING:
        return "A string is its length in bytes (Q), then that many bytes of UTF-8"
    if kind == ARRAY:
        return (
            "An array is the type of its items (I), how many there are (Q), then the items: read "
            "each with read_value itself, which knows strings and arrays too, into a list"
        )
    return f"SCALARS[{int(kind)}] is the format of such a value"


def _same(got, wanted):
    """Equal, and of the same type: True is not 1 here, and text is not bytes."""
    if isinstance(wanted, list) and isinstance(got, list) and len(got) == len(wanted):
        return all(_same(*pair) for pair in zip(got, wanted, strict=True))
    return type(got) is type(wanted) and got == wanted


def _file(alignment, seed, full=False):
    """A small file's bytes, and what the gguf package reads in it.

    full: the table ends where the data may begin, so that there is no padding.
    """
    data, truth = _written(alignment, seed, "")
    if full:
        data, truth = _written(alignment, seed, "x" * (-truth["ends"] % alignment))
    return data, truth


def _written(alignment, seed, filling):
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder, "small.gguf")
        writer = gguf.GGUFWriter(path, "llama")
        if alignment != 32:
            writer.add_custom_alignment(alignment)
        writer.add_description("Gemüse " + filling)
        writer.add_array("tokens", [f"token {n}" for n in rng.integers(0, 999, 5)])
        writer.add_bool("answers", True)
        writer.add_float32("scale", float(np.float32(rng.normal())))
        writer.add_tensor("embd.weight", rng.normal(size=(5, 64)).astype(np.float16))
        writer.add_tensor("norm.weight", rng.normal(size=(7,)).astype(np.float32))
        rows = gguf.quants.quantize(rng.normal(size=(3, 96)).astype(np.float32), Q8_0)
        writer.add_tensor("blk.0.ffn.weight", rows, raw_dtype=Q8_0)
        writer.add_tensor("kernel", rng.normal(size=(2, 3, 4)).astype(np.float32))
        writer.add_tensor("last.weight", rng.integers(0, 9, (9,)).astype(np.int32))
        _close(writer)
        reader = gguf.GGUFReader(path)
        last = reader.tensors[-1].field
        truth = {
            "metadata": {
                name: field.contents()
                for name, field in reader.fields.items()
                if not name.startswith("GGUF.")
            },
            "tensors": [
                (t.name, tuple(int(n) for n in t.shape[::-1]), int(t.tensor_type), t.data_offset)
                for t in reader.tensors
            ],
            "sizes": [t.n_bytes for t in reader.tensors],
            "table_at": reader.tensors[0].field.offset,
            "ends": last.offset + sum(part.nbytes for part in last.parts),
            "data_at": reader.data_offset,
        }
        return path.read_bytes(), truth


def _close(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensor(got, wanted, data_at):
    (name, shape, kind, at), (wanted_name, wanted_shape, wanted_kind, wanted_at) = got, wanted
    assert name == wanted_name, f"a tensor is called {name!r}, wanted {wanted_name!r}"
    assert tuple(shape) == wanted_shape, (
        f"the shape of {name} is {tuple(shape)}, wanted {wanted_shape}: the file has the "
        "dimensions in the opposite order of NumPy's shape, so reverse them"
    )
    assert kind == wanted_kind, f"the kind of {name} is {kind}, wanted {wanted_kind}"
    assert at != wanted_at - data_at, (
        f"{name} is at {at}: that is its offset, which counts from where the data begin. Add "
        "data_at, which is known when the whole table is read"
    )
    assert at == wanted_at, f"{name} is at {at}, wanted {wanted_at} (data_at plus its offset)"


def _weights():
    """Arrays of float32 for a quantizer, by what is special about them."""
    rng = np.random.default_rng(7401)

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    whole = rng.integers(-127, 128, (4, 32)).astype(np.float32)
    whole[:, 5] = 127
    zeros = normal(2, 96)
    zeros[0, 32:64] = zeros[1, :32] = 0
    halves = np.arange(-15.5, 16.5, dtype=np.float32)
    halves = np.stack([np.append(halves[1:], 127), np.append(-127, halves[:-1])])
    almost = np.full((1, 32), np.nextafter(np.float32(0.5), np.float32(0)), np.float32)
    almost[0, ::2] *= -1
    almost[0, 7] = 127
    return {
        "whole numbers": whole,
        "normal weights": normal(6, 96) * np.logspace(-3, 1, 6, dtype=np.float32)[:, None],
        "a model's weights": normal(256, 128).astype(np.float16).astype(np.float32) / 16,
        "blocks of zeros": zeros,
        "exact halves": halves.astype(np.float32),
        "just below a half": almost,
        "huge weights": np.concatenate([normal(2, 64) * 1e5, normal(2, 64) * np.float32(1e36)]),
        "tiny weights": np.concatenate([normal(2, 64) * 1e-8, normal(2, 64) * np.float32(1e-34)]),
    }


def _round(x):
    """To the nearest, halves away from zero, as C's roundf."""
    whole = np.trunc(x)
    return whole + np.trunc(2 * (x - whole))


def _what_is_wrong(weights, got, wanted):
    most = np.abs(weights).max(axis=1, keepdims=True)
    d = most / np.float32(127)

    def scale(values):
        with np.errstate(all="ignore"):
            return np.broadcast_to(values, d.shape).astype(np.float16).view(np.uint8)

    if np.array_equal(got[:, 32:], wanted[:, :2]) and np.array_equal(got[:, :32], wanted[:, 2:]):
        return "the integers come before the scale: in a block d stands first"
    if not np.array_equal(got[:, :2], wanted[:, :2]):
        if np.array_equal(got[:, :2], scale(most / np.float32(128))):
            return "d is the largest weight divided by 128, wanted 127: q goes from -127 to 127"
        if np.array_equal(got[:, :2], scale(d.max())):
            return "d is the same in all blocks: take the largest weight of each block of 32"
        if np.array_equal(got[:, :2], scale(weights.max(axis=1, keepdims=True) / np.float32(127))):
            return "d comes from the largest weight without its sign taken off: np.abs first"
        return (
            "a scale is wrong: d is the largest absolute weight of the block divided by 127, "
            "stored as float16, two bytes at the beginning of the block"
        )

    with np.errstate(all="ignore"):
        rounded = d.astype(np.float16).astype(np.float32)
        by, by_rounded = (np.where(x == 0, 0, 1 / x) for x in (d, rounded))
        exact, wide = weights * by, weights.astype(np.float64)
        mistakes = {
            "q was made with d as it is stored, in float16. Use the float32 one: only what is "
            "stored is rounded": [_round(weights * by_rounded), _round(weights / rounded)],
            "halves were rounded to the even neighbour (np.round does that), and C's roundf "
            "rounds them away from zero: 0.5 to 1, -2.5 to -3": [np.round(exact)],
            "what comes after the decimal point was cut off, not rounded": [np.trunc(exact)],
            "0.49999997 became 1: adding 0.5 rounds up in float32. Take np.trunc(x), then add "
            "np.trunc(2 * (x - np.trunc(x)))": [
                np.trunc(exact + np.copysign(np.float32(0.5), exact)),
                np.floor(exact + np.float32(0.5)),
            ],
            "a few q differ by one: llama.cpp multiplies by 1/d in float32, and dividing by d, or "
            "float64, rounds elsewhere": [
                _round(weights / d),
                _round(wide / d),
                _round(wide * by),
                _round(wide * 127 / most),
            ],
        }
        q = got[:, 2:].view(np.int8)
        for mistake, made in mistakes.items():
            if any(np.array_equal(q, one.astype(np.int8)) for one in made):
                return mistake
    row, column = np.argwhere(got[:, 2:] != wanted[:, 2:])[0]
    return (
        f"the weight {weights[row, column]:g} became q = {q[row, column]}, wanted "
        f"{wanted[:, 2:].view(np.int8)[row, column]} (d = {d[row, 0]:g}): q is the weight times "
        "1/d, rounded to the nearest, halves away from zero, as int8"
    )


def _table(tensors, alignment, forward=False, first=0):
    table, offset = b"", first
    for name, shape, kind, size in tensors:
        dimensions = shape if forward else shape[::-1]
        text = name.encode("utf-8")
        table += struct.pack("<Q", len(text)) + text + struct.pack("<I", len(shape))
        table += struct.pack(f"<{len(shape)}QIQ", *dimensions, kind, offset)
        offset += size + -size % alignment
    return table


def _differ(got, wanted):
    return next(
        (n for n, (a, b) in enumerate(zip(got, wanted, strict=False)) if a != b),
        min(len(got), len(wanted)),
    )
