"""Where the answer to a choice stands in the text: what a head is taught to look at.

A call has two kinds of choices. Which tool? The answer is one of the lines that show tools. Which
value? The answer begins at some word of what was said. That the right token follows is a weak hint
at where to look; here the place itself is told, and two heads are trained to look there.
"""

import re
from collections.abc import Iterator

from tokenizers import Encoding

TOOL = re.compile(r"^([\w.-]+)\(.*\n?(?:  .*\n?)*", re.M)
CALL = re.compile(r'<tool_call>\{"name":"([^"]+)","arguments":(.*?)\}</tool_call>')
VALUE = re.compile(r'":(?:"((?:[^"\\]|\\.)+)"|(-?\d[\d.]*))')
LINE, PLACE = 0, 1  # look at any token of a tool's lines; look at exactly this token


def guides(text: str, encoding: Encoding) -> Iterator[tuple[int, int, int, int]]:
    """(kind, token before the choice, first token to look at, last one + 1) for each choice."""
    shown = text.partition("<|im_end|>")[0]
    lines = {match[1]: match for match in TOOL.finditer(shown)}

    def place(kind: int, chosen: int, begin: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        at, first = encoding.char_to_token(chosen), encoding.char_to_token(begin)
        last = encoding.char_to_token(end - 1)
        if None not in (at, first, last) and first < at:
            yield kind, at - 1, first, last + 1

    for call in CALL.finditer(text):
        if line := lines.get(call[1]):
            yield from place(LINE, call.start(1), line.start(), line.end())
            yield from place(PLACE, call.start(1), line.start(), line.start() + 1)
        for value in VALUE.finditer(call[2]):
            which = 1 if value[1] else 2
            said = re.escape(value[which])
            *_, found = (None, *re.finditer(rf"(?<!\w){said}(?!\w)", text[: call.start()]))
            if found:
                chosen = call.start(2) + value.start(which)
                yield from place(PLACE, chosen, found.start(), found.start() + 1)
