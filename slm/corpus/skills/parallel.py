"""Two independent things wanted in one message: two calls at once, two results, one answer."""

import random
import re
from dataclasses import replace

from slm.corpus import speech
from slm.corpus.conversation import Conversation, answer, calls, system, user
from slm.corpus.drawing import any_tool, written_tool
from slm.corpus.reading import SLOT, Words
from slm.corpus.scenes import Scene, drawn, full_scene, settle
from slm.corpus.showing import beside, dress, may_stand_beside

JOINS = [
    "{a}. {B}",
    "{a}. {B}",
    "{a}. Also, {b}",
    "{a} and {b}",
    "{a} and also {b}",
    "{a}, and {b}",
    "{a}. And {b}",
    "{a}. Then {b}",
    "Two things: {a}, and {b}",
    "First {a}. Second, {b}",
    "1. {A} 2. {B}",
    "{a}; {b}",
    "{a}\n{b}",
    "{a} + {b}",
    "{A}. While you're at it, {b}",
    "{A}. At the same time, {b}",
]


def generate(rng: random.Random, words: Words) -> Conversation:
    first, second = twice(rng, words) if rng.random() < 0.3 else two(rng, words)
    text = first.text if first.text == second.text else joined(rng, first.text, second.text)
    messages = [
        *system(rng, words),
        user(text),
        calls(first.function, second.function),
        first.result,
        second.result,
        answer(
            f"{speech.upper_first(first.answer)} {speech.upper_first(second.answer)}", "figures"
        ),
    ]
    wanted = list({s.tool.name: s.tool for s in (first, second)}.values())
    tools = beside(rng, words, wanted, [first.pattern, second.pattern][: len(wanted)])
    return dress(rng, words, "parallel", messages, tools)


GREETING = re.compile(
    r"^(?:(?:hi|hey|hello|good (?:morning|evening|afternoon|day)|morning|yo|uh+|um+|er|ok|okay|so|"
    r"well|listen|sorry|right)\b[\w' ]{0,12}?[,!.]+\s*)+",
    re.I,
)


def joined(rng: random.Random, first: str, second: str) -> str:
    """Two requests as one message."""
    pattern = rng.choice(JOINS)
    end = first[-1] if first[-1] in ".?!" else ""
    a = first.rstrip(".?!")
    if end in {"?", "!"}:  # a question keeps its mark
        pattern, a = rng.choice(["{a} {B}", "{a} {B}", "{a}\n{b}", "{a} Also, {b}"]), first
    b = speech.lower_first(second)
    if first == first.lower():  # who types so does it throughout
        pattern, second = pattern.replace("B}", "b}").replace("{A}", "{a}"), b
    second = speech.upper_first(GREETING.sub("", second)) if second != b else b
    b = speech.lower_first(GREETING.sub("", b))
    if not pattern.startswith("{a}"):
        a = speech.lower_first(a)
    slots = {"a": a, "b": b, "A": speech.upper_first(a), "B": speech.upper_first(second)}
    return SLOT.sub(lambda match: slots[match[1]], pattern)


def short(rng: random.Random, words: Words, make) -> Scene:
    """A scene whose request is short enough to be one of two."""
    for _ in range(20):
        found = full_scene(rng, words, make(), bare=True)
        if len(found.text) < 90:
            break
    return found


def two(rng: random.Random, words: Words) -> tuple[Scene, Scene]:
    """Wishes for two different tools that nobody confuses."""
    first = short(rng, words, lambda: any_tool(rng, words))
    while True:
        second = short(rng, words, lambda: any_tool(rng, words))
        both = f"{first.pattern} {second.pattern}"
        if second.tool.name != first.tool.name and may_stand_beside(both, first.tool, second.tool):
            return first, second


def twice(rng: random.Random, words: Words) -> tuple[Scene, Scene]:
    """One wish for two values: "the weather in Oslo and Rome"."""
    while True:
        tool = written_tool(rng)
        singles = [
            name
            for name in tool.required
            if tool.kinds.get(name) in {"city", "id", "ticker", "email", "person", "company"}
        ]
        if len(tool.required) != 1 or not singles:
            continue
        name = singles[0]
        first = full_scene(rng, words, tool, bare=True)
        if (
            '"' in first.pattern
            or first.pattern.count("{") != 1
            or name not in first.arguments
            or len(first.pattern) > 60
        ):
            continue
        said, meant = drawn(rng, words, tool, name, first.text == first.text.lower(), {})
        one = first.said[name]
        if said == one or first.text.count(one) != 1:
            continue
        both = rng.choice(
            [f"{one} and {said}", f"{one} and {said}", f"{one} & {said}", f"{one}, {said}"]
        )
        text = first.text.replace(one, both)
        second = settle(
            rng, words, replace(first, arguments={**first.arguments, name: meant}), named=True
        )
        return replace(first, text=text), replace(second, text=text)
