"""Where the answer to a choice stands in the text: what heads are taught to look at.

Which tool is wanted, and which words are an argument's value, a network finds out late when only
the next token tells it. The place where the answer stands is known, so it is told:

* NAME: each word of a tool's lines looks at the first word of the tool's name;
* LINE: each word of a request looks at the lines of the tool that it wants;
* PLACE: before the name in a call, and before each value, look at where it is copied from.

A word of the request thus finds its tool's lines, and there the name; the call then copies it.
"""

import random
import re
from collections.abc import Iterator

from tokenizers import Encoding

TOOL = re.compile(r"^([\w.-]+)\(.*\n?(?:  .*\n?)*", re.M)
TURN = re.compile(r"<\|im_start\|>(\w+)\n(.*?)<\|im_end\|>\n?", re.S)
CALL = re.compile(r'<tool_call>\{"name":"([^"]+)","arguments":(.*?)\}</tool_call>')
VALUE = re.compile(r'":(?:"((?:[^"\\]|\\.)+)"|(-?\d[\d.]*))')
NAME, LINE, PLACE = range(3)
SHARE = {NAME: 0.15, LINE: 0.5}  # of the many: so many are told

Guide = tuple[int, int, int, int]


def guides(text: str, encoding: Encoding, rng: random.Random) -> Iterator[Guide]:
    """(kind, token that looks, first token to look at, last one + 1)."""

    def token(place: int) -> int:
        return encoding.char_to_token(place)

    shown = text.partition("<|im_end|>")[0]
    lines = {match[1]: match for match in TOOL.finditer(shown)}
    for line in lines.values():
        first = token(line.start())
        for at in range(first + 1, token(line.end() - 1) + 1):
            if rng.random() < SHARE[NAME]:
                yield NAME, at, first, first + 1
    asked = None
    for turn in TURN.finditer(text):
        called = list(CALL.finditer(text, turn.start(), turn.end()))
        if turn[1] == "assistant" and asked and len(called) == 1 and called[0][1] in lines:
            line = lines[called[0][1]]
            first, end = token(line.start()), token(line.end() - 1) + 1
            for at in range(token(asked.start(2)), token(asked.end() - 2) + 1):
                if rng.random() < SHARE[LINE]:
                    yield LINE, at, first, end
        asked = turn if turn[1] == "user" else None
        for call in called:
            if call[1] in lines:
                first = token(lines[call[1]].start())
                yield PLACE, token(call.start(1)) - 1, first, first + 1
            for value in VALUE.finditer(call[2]):
                which = 1 if value[1] else 2
                said = re.escape(value[which])
                *_, found = (None, *re.finditer(rf"(?<!\w){said}(?!\w)", text[: call.start()]))
                at = token(call.start(2) + value.start(which))
                if found and at is not None:
                    first = token(found.start())
                    yield PLACE, at - 1, first, first + 1
