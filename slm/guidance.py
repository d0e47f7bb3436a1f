"""Where the answer to a choice stands in the text: what heads are taught to look at.

Which tool is wanted, and which words are an argument's value, a network finds out late when only
the next token tells it. The place where the answer stands is known, so it is told:

* NAME: each word of a tool's lines looks at the first word of the tool's name;
* TOOL: before the name in a call, look at the lines of the tool that is wanted, and before a route
  at the line that describes it;
* VALUE: before a value in a call, a figure or a name in an answer, look at where it is copied from.

Where such a head has nothing to find it looks at the text's first token, which says nothing.
"""

import random
import re
from collections.abc import Iterator

from tokenizers import Encoding

LINES = re.compile(r"^([\w.-]+)\(.*\n?(?:  .*\n?)*", re.M)
TURN = re.compile(r"<\|im_start\|>(\w+)\n(.*?)<\|im_end\|>\n?", re.S)
CALL = re.compile(r'<tool_call>\{"name":"([^"]+)","arguments":(.*?)\}</tool_call>')
ARGUMENT = re.compile(r'":(?:"((?:[^"\\]|\\.)+)"|(-?\d[\d.]*))')
FIGURE = re.compile(r"(?<!\w)(\d+|(?<= )[A-Z]\w+)()")  # and names
LABEL = re.compile(r"[\w /&-]{1,40}")
NAME, TOOL, VALUE = range(3)
TOLD = 0.15  # of a tool's words: so many are told

Guide = tuple[int, int, int, int]


def described(label: str, shown: str) -> tuple[int, int] | None:
    """Where the system text explains a label: the line that it begins, or its last mention."""
    found = re.search(rf"^\W*({re.escape(label)})(?!\w).*$", shown, re.M)
    if found:
        return found.start(1), found.end()
    found = last_mention(label, shown)
    return found.span() if found else None


def last_mention(said: str, text: str) -> re.Match | None:
    """Where these whole words stand last."""
    *_, found = (None, *re.finditer(rf"(?<!\w){re.escape(said)}(?!\w)", text))
    return found


def guides(text: str, encoding: Encoding, rng: random.Random, idle: bool = True) -> Iterator[Guide]:
    """(kind, token that looks, first token to look at, last one + 1); `idle`: nothing, too."""

    def token(place: int) -> int:
        return encoding.char_to_token(place)

    shown = text.partition("<|im_end|>")[0]
    lines = {}
    for line in LINES.finditer(shown):
        first, end = token(line.start()), token(line.end() - 1) + 1
        lines[line[1]] = (first, end)
        for at in range(first, end):
            if rng.random() < TOLD:
                yield NAME, at, first, first + 1
    choices, spans = {}, []

    def copied(matches: Iterator[re.Match], before: int) -> None:
        """Each match's first token is looked up in the text that ends at `before`."""
        for match in matches:
            begin, end = match.span(1 if match[1] else 2)
            found = last_mention(text[begin:end], text[:before])
            if found and token(begin) is not None:
                first = token(found.start())
                choices[VALUE, token(begin) - 1] = (first, first + 1)

    for turn in TURN.finditer(text):
        if turn[1] != "assistant" or turn.end(2) == turn.start(2):
            continue
        begin, end = turn.span(2)
        calls = list(CALL.finditer(text, begin, end))
        for call in calls:
            spans.append(range(token(call.start()), token(call.end() - 1)))
            if call[1] in lines:
                choices[TOOL, token(call.start(1)) - 1] = lines[call[1]]
            copied(ARGUMENT.finditer(text, *call.span(2)), call.start())
        if not calls:
            spans.append(range(token(begin), token(end - 1) + 1))
            route = LABEL.fullmatch(turn[2]) and not lines and described(turn[2], shown)
            if route:
                first, last = token(route[0]), token(route[1] - 1) + 1
                choices[TOOL, token(begin) - 1] = (first, last)
                for at in range(first, last):
                    yield NAME, at, first, first + 1
            elif text[begin] == "{":
                copied(ARGUMENT.finditer(text, begin, end), begin)
            else:
                copied(FIGURE.finditer(text, begin, end), begin)
    for (kind, at), where in choices.items():
        yield kind, at, *where
        other = rng.choice(rng.choice([*spans, range(len(encoding.ids) - 1)]))
        if idle and (kind, other) not in choices:
            yield kind, other, 0, 1
