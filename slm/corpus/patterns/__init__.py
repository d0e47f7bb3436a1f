"""Hand-written phrasings, one a line in the `*.txt` files beside this module.

A line that begins with `#` is a comment, `{city}` is a slot, a tab parts a question from its
answer. One line in eight belongs to the exam and is never trained on: its own text decides, so
adding a line moves no other.
"""

import re
import zlib
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
EXAM_SHARE = 8  # one line in so many
SLOT = re.compile(r"\{(\w+)\}")


@cache
def read(name: str) -> tuple[str, ...]:
    """The lines of one file, without comments and blank ones."""
    path = HERE / f"{name}.txt"
    lines = (line.rstrip("\r\n") for line in path.read_text(encoding="utf-8").splitlines())
    return tuple(line for line in lines if line.strip() and not line.startswith("#"))


def in_exam(line: str) -> bool:
    return zlib.crc32(line.encode("utf-8")) % EXAM_SHARE == 0


class Patterns:
    """The lines of one split, by the name of their file: `Patterns("train")["get_weather"]`."""

    def __init__(self, split: str):
        if split not in {"train", "exam"}:
            raise ValueError(f"split must be 'train' or 'exam', not {split!r}")
        self.split = split
        self._lists: dict[str, list[str]] = {}

    def __getitem__(self, name: str) -> list[str]:
        if name not in self._lists:
            exam = self.split == "exam"
            self._lists[name] = [line for line in read(name) if in_exam(line) == exam]
        return self._lists[name]


def fill(pattern: str, **values) -> str:
    """Put values into a pattern's slots; a slot without a value is a KeyError.

    >>> fill("{Room} to {temp}", Room="Kitchen", temp=21)
    'Kitchen to 21'
    """
    return SLOT.sub(lambda match: str(values[match[1]]), pattern)
