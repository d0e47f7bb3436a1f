"""The hand-written text of the corpus, read from `slm/corpus/text/`, and its two splits.

`lists/NAME.txt` holds one entry a line. `tools/*.txt` and `blocks/*.txt` hold blocks: a line
`== head`, lines that belong to it, then sections such as `[request]` with one pattern a line. A
line that begins with `# ` is a comment, `{city}` is a slot.

One line in eight of every list and section belongs to the exam and is never trained on. The line's
own words decide (their CRC-32), so adding a line moves no other, and what is written twice, with or
without a capital, is in one split.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

TEXT = Path(__file__).with_name("text")
EXAM_SHARE = 8  # one line in so many
SLOT = re.compile(r"\{(\w+)\}")
SECTION = re.compile(r"\[([^\]]+)\]")


def lines_of(path: Path) -> list[str]:
    """A file's lines, without comments and blank ones."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.rstrip() for line in lines if line.strip() and not line.startswith("# ")]


@dataclass
class Block:
    """What stands under one `== head`."""

    head: str
    lines: list[str] = field(default_factory=list)
    sections: dict[str, list[str]] = field(default_factory=dict)

    def under(self, key: str) -> list[str]:
        """What its lines `key: ...` say."""
        start = f"{key}:"
        return [line[len(start) :].strip() for line in self.lines if line.startswith(start)]


@cache
def blocks(path: Path) -> tuple[Block, ...]:
    """The blocks of one file, in its order."""
    found: list[Block] = []
    into: list[str] = []
    for line in lines_of(path):
        section = SECTION.match(line)
        if line.startswith("== "):
            found.append(Block(line[3:].strip()))
            into = found[-1].lines
        elif section and (section.end() == len(line) or line[section.end() :].startswith(" = ")):
            into = found[-1].sections.setdefault(section[1].strip(), [])
            into += [line[section.end() :].strip()] if section.end() < len(line) else []
        else:
            into.append(line)
    return tuple(found)


def draw(line: str) -> int:
    """A number that a line's words decide, whatever their letter case and punctuation.

    Of a question with its answer, behind a tab or " => ", only the question counts.
    """
    line = line.partition("\t")[0].partition(" => ")[0]
    return zlib.crc32(" ".join(re.findall(r"\w+", line.casefold())).encode("utf-8"))


def split_lines(lines: Sequence[str], split: str) -> tuple[str, ...]:
    """Those of the lines that belong to "train" or "exam"; of few lines at least one is each's."""
    exam = {line for line in lines if draw(line) % EXAM_SHARE == 0} or {min(lines, key=draw)}
    if split == "exam":
        return tuple(sorted(exam))
    return tuple(dict.fromkeys(line for line in lines if line not in exam))


class Words:
    """The corpus's text as one split sees it. There is one for each split.

    >>> "Oslo" in Words("train")["cities"] or "Oslo" in Words("exam")["cities"]
    True
    """

    _all: ClassVar[dict[str, "Words"]] = {}

    def __new__(cls, split: str):
        if split not in {"train", "exam"}:
            raise ValueError(f"split must be 'train' or 'exam', not {split!r}")
        if split not in cls._all:
            words = super().__new__(cls)
            words.split, words._lists, words._sections = split, {}, {}
            cls._all[split] = words
        return cls._all[split]

    def __getitem__(self, name: str) -> tuple[str, ...]:
        """The lines of `lists/NAME.txt` that belong to this split."""
        if name not in self._lists:
            lines = lines_of(TEXT / "lists" / f"{name}.txt")
            self._lists[name] = split_lines(lines, self.split)
        return self._lists[name]

    def of(self, lines: list[str]) -> tuple[str, ...]:
        """Those of a section's lines that belong to this split."""
        known = self._sections.get(id(lines))
        if known is None:  # the list is kept too: its id stays its own
            known = self._sections[id(lines)] = (lines, split_lines(lines, self.split))
        return known[1]

    def own(self, name: str) -> list[Block]:
        """Those blocks that belong to this split as a whole, by their heads."""
        exam = self.split == "exam"
        return [one for one in self.blocks(name) if (draw(one.head) % EXAM_SHARE == 0) == exam]

    def blocks(self, name: str) -> tuple[Block, ...]:
        return blocks(TEXT / "blocks" / f"{name}.txt")
