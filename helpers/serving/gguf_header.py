"""What stands before the weights in a GGUF file, read and checked."""

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

from helpers.serving.engine import ServingError


@dataclass(frozen=True)
class Gguf:
    """What stands before a GGUF file's weights. Of a tensor: its name, type and shape."""

    values: dict
    tensors: list[tuple[str, str, list[int]]]

    @property
    def family(self) -> str:
        return self.values["general.architecture"]

    @property
    def made_for_embeddings(self) -> bool:
        return f"{self.family}.pooling_type" in self.values

    @property
    def parameters(self) -> int:
        return sum(math.prod(shape) for _, _, shape in self.tensors)

    @property
    def quant(self) -> str:
        """The type of most of its weights: F16, Q8_0, Q4_K_M, ..."""
        from gguf import LlamaFileType

        try:
            name = LlamaFileType(self.values.get("general.file_type")).name
        except ValueError:
            return "unknown"
        return name.removeprefix("MOSTLY_").removeprefix("ALL_")


def read_gguf(path: Path, arrays: bool = False) -> Gguf:
    """Read and check a file's beginning. arrays: those of more than five values, too.

    The `gguf` package's own reader believes what a file says of its sizes: a broken one can keep it
    busy for ever. Raises ServingError.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Reader(data, arrays).read()
    except (ValueError, struct.error, KeyError) as error:
        raise ServingError(f"this is not a whole GGUF file: {error}") from error


# GGUF's types of values that are numbers, as struct calls them; 8 is a text, 9 an array.
_SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))


class _Reader:
    def __init__(self, data: mmap.mmap, arrays: bool):
        self._data, self._at, self._arrays = data, 0, arrays

    def read(self) -> Gguf:
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

        magic, version, tensors, values = self._take("4sIQQ")
        if magic != b"GGUF" or version not in {2, 3}:
            raise ValueError("it does not begin as one")
        if values > 1 << 16 or tensors > 1 << 20:
            raise ValueError("it cannot have so many values or tensors")
        read = {}
        for _ in range(values):
            name, (kind,) = self._text(), self._take("I")
            read[name] = self._value(kind)
        if not isinstance(read.get("general.architecture"), str):
            raise ValueError("it does not say what model it is")
        found, end = [], 0
        for _ in range(tensors):
            name, (dimensions,) = self._text(), self._take("I")
            if dimensions > 4:
                raise ValueError(f"{name} has {dimensions} dimensions")
            shape = list(self._take(f"{dimensions}Q"))
            kind = GGMLQuantizationType(self._take("I")[0])
            block, size = GGML_QUANT_SIZES[kind]
            end = max(end, self._take("Q")[0] + math.prod(shape) // block * size)
            found.append((name, kind.name, shape))
        border = read.get("general.alignment", 32)
        if not isinstance(border, int) or border < 1:
            raise ValueError("general.alignment is no number")
        if not found or -(-self._at // border) * border + end > len(self._data):
            raise ValueError("weights are missing at its end")
        return Gguf(read, found)

    def _take(self, form: str) -> tuple:
        values = struct.unpack_from("<" + form, self._data, self._at)
        self._at += struct.calcsize("<" + form)
        return values

    def _text(self) -> str:
        (length,) = self._take("Q")
        if length > len(self._data) - self._at:
            raise ValueError("it ends in the middle of a text")
        self._at += length
        return self._data[self._at - length : self._at].decode("utf-8", errors="replace")

    def _value(self, kind: int):
        if kind in _SCALARS:
            (value,) = self._take(_SCALARS[kind])
            return value if not isinstance(value, float) or math.isfinite(value) else None
        if kind == 8:
            return self._text()
        if kind != 9:
            raise ValueError(f"there is no type {kind}")
        inner, count = self._take("IQ")
        if inner not in _SCALARS and inner != 8:
            raise ValueError(f"there are no arrays of type {inner}")
        least = 8 if inner == 8 else struct.calcsize(_SCALARS[inner])
        if count * least > len(self._data) - self._at:
            raise ValueError("it ends in the middle of an array")
        if inner != 8 and not (self._arrays or count <= 5):
            self._at += count * least
            return []
        values = [self._value(inner) for _ in range(count)]
        return values if self._arrays or count <= 5 else []
