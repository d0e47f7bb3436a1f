"""One exchange with one tool: what the user says, the call, its result, the answer."""

import json
import random
import re
from dataclasses import dataclass, field

from slm.corpus import speech, truth, values
from slm.corpus.conversation import answer, calls, function, result
from slm.corpus.reading import SLOT, Words
from slm.corpus.toolbook import Tool, bound, slot_value


@dataclass
class Scene:
    """A request for one tool and what comes of it."""

    tool: Tool
    pattern: str
    text: str
    arguments: dict
    said: dict[str, str] = field(default_factory=dict)  # the arguments as they were typed
    result: dict = field(default_factory=dict)
    answer: str = ""

    @property
    def function(self) -> dict:
        return function(self.tool.name, self.arguments)

    def turns(self) -> list[dict]:
        """The call, its result and the answer, without the user's words."""
        return [calls(self.function), self.result, answer(self.answer, "figures")]


def scene(
    rng: random.Random, words: Words, tool: Tool, section: str = "request", bare: bool = False
) -> Scene:
    """A scene of a tool, its request from the section's patterns; bare: with no words around it."""
    pattern, fixed = bound(rng.choice(tool.lines(words, section)))
    lower = speech.is_lower(rng)
    said, meant = {}, {}
    for slot in dict.fromkeys(SLOT.findall(pattern)):
        if slot in tool.properties:
            said[slot], meant[slot] = drawn(rng, words, tool, slot, lower, meant)
        else:
            said[slot] = slot_value(rng, words, slot)[0]
    text = speech.fill(speech.as_typed(rng, pattern, lower), said)
    if not bare:
        text = speech.typed(rng, words, text)
    return Scene(tool, pattern, text, meant | fixed, said)


def drawn(rng, words, tool: Tool, argument: str, lower: bool, meant: dict) -> tuple[str, object]:
    """(said, meant) of an argument, fit for those already drawn."""
    if tool.kinds.get(argument) == "unit":  # two units belong together
        others = [meant[name] for name in meant if tool.kinds.get(name) == "unit"]
        said = value = values.unit(rng, *others)
    else:
        said, value = tool.value(rng, words, argument)
    if lower and "enum" not in tool.properties[argument]:
        said = said.lower()
        value = value.lower() if isinstance(value, str) else value
    return said, value


PRONOUN = re.compile(r"(?:It|Its|It's|This|That|That's|They|These|Those|Sorry|There)\b")


def settle(
    rng: random.Random, words: Words, scene: Scene, errors: float = 0.08, named: bool = False
) -> Scene:
    """The scene with a result, an error as often as `errors` says, and the answer to it.

    named: the answer names its thing, because it will not stand alone.
    """
    wrong = rng.random() < errors and scene.tool.has("error")
    absent = set(scene.tool.properties) - set(scene.arguments)
    section = "error" if wrong else "result"
    lines = [one for one in scene.tool.lines(words, section) if fits(one, absent)]
    lines = lines or [one for one in scene.tool.block.sections[section] if fits(one, absent)]
    line = rng.choice(lines)
    found, _, answers = line.partition(" => ")
    slots = dict.fromkeys(SLOT.findall(line))
    values_ = truth.results(
        scene.tool.name, scene.arguments, set(slots), lambda s: slot_value(rng, words, s)[1]
    )
    values_ = scene.arguments | values_
    for slot in slots:
        if slot not in values_:
            values_[slot] = slot_value(rng, words, slot)[1]
    known = {name: plain(value) for name, value in values_.items()}
    found = SLOT.sub(lambda match: in_json(known[match[1]], found), found)
    if wrong:
        scene.result = result(error_text(rng, found))
    else:
        scene.result = result(shuffled(rng, found))
    fitting = answers.split(" | ")
    if named:
        fitting = [one for one in fitting if not PRONOUN.match(one)] or fitting
        mine = set(scene.arguments)
        fitting = [one for one in fitting if mine & set(SLOT.findall(one))] or fitting
    scene.answer = speech.fill(rng.choice(fitting), known)
    return scene


def fits(line: str, absent: set[str]) -> bool:
    """Whether a line does without the arguments that the call has not."""
    return absent.isdisjoint(SLOT.findall(line))


def full_scene(rng: random.Random, words: Words, tool: Tool, bare: bool = False) -> Scene:
    return settle(rng, words, scene(rng, words, tool, bare=bare), named=bare)


def plain(value) -> str:
    """A value as an answer writes it."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def in_json(value: str, around: str) -> str:
    """A value inside a result: its quotes escaped where the result is JSON."""
    return json.dumps(value, ensure_ascii=False)[1:-1] if around.lstrip()[:1] in "{[" else value


def error_text(rng: random.Random, error: str) -> str:
    if error.startswith("{"):
        return error
    return rng.choice(
        [
            json.dumps({"error": error}, ensure_ascii=False),
            json.dumps({"error": error}, ensure_ascii=False),
            json.dumps({"ok": False, "error": error}, ensure_ascii=False),
            json.dumps({"status": "error", "message": error}, ensure_ascii=False),
            f"error: {error}",
            f"Error: {error}",
        ]
    )


def shuffled(rng: random.Random, text: str) -> str:
    """A tool's result: its fields in any order, compact or not, now and then as plain lines."""
    try:
        content = json.loads(text)
    except ValueError:
        return text
    if isinstance(content, dict):
        items = list(content.items())
        rng.shuffle(items)
        content = dict(items)
        flat = not any(isinstance(value, dict | list) for value in content.values())
        if flat and rng.random() < 0.1:
            return rng.choice([", ", "\n"]).join(f"{key}: {plain(v)}" for key, v in items)
    compact = rng.random() < 0.25
    return json.dumps(content, ensure_ascii=False, separators=(",", ":") if compact else None)
