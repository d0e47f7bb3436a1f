"""The tools that the corpus knows: signatures, and how people ask for them, from `text/tools/`.

A tool is one block, its head the line that the model reads:
`== lookup_order_status(order_id: string) Look up the status of an order.`

>>> TOOLS["lookup_order_status"]["function"]["parameters"]["required"]
['order_id']
"""

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from slm.corpus import values
from slm.corpus.reading import SLOT, TEXT, Block, Words, blocks
from slm.corpus.speech import fill

SIGNATURE = re.compile(r"(?P<name>[\w.-]+)\((?P<arguments>[^)]*)\) (?P<description>.+)")
ARGUMENT = re.compile(r"(?P<name>\w+)(?P<optional>\??): (?P<type>[\w|]+)")
KIND = re.compile(r"(\w+)=(\w+)")
BINDING = re.compile(r"\s@(\w+)=(\S+)")
EXAM = TEXT.parents[1] / "exam" / "families"
COURSE = [
    "customer",
    "technical",
    "retail",
    "business",
    "personal",
    "finance",
    "healthcare",
    "worlds",
]


def schema(line: str) -> dict:
    """`name(argument: type, optional?: a|b) Description.` as an OpenAI tool."""
    match = SIGNATURE.fullmatch(line)
    if not match:
        raise ValueError(f"not a tool signature: {line!r}")
    arguments = list(ARGUMENT.finditer(match["arguments"]))
    properties = {
        a["name"]: {"type": "string", "enum": a["type"].split("|")}
        if "|" in a["type"]
        else {"type": a["type"]}
        for a in arguments
    }
    required = [a["name"] for a in arguments if not a["optional"]]
    parameters = {"type": "object", "properties": properties, "required": required}
    function = {
        "name": match["name"],
        "description": match["description"],
        "parameters": parameters,
    }
    return {"type": "function", "function": function}


@dataclass
class Tool:
    """One tool, its schema and its sections of text."""

    family: str
    schema: dict
    kinds: dict[str, str]
    block: Block
    held_out: bool = False  # never trained on: all of its lines are the exam's

    @property
    def name(self) -> str:
        return self.schema["function"]["name"]

    @cached_property
    def properties(self) -> dict[str, dict]:
        return self.schema["function"]["parameters"]["properties"]

    @cached_property
    def required(self) -> list[str]:
        return self.schema["function"]["parameters"]["required"]

    def has(self, section: str) -> bool:
        return section in self.block.sections

    def lines(self, words: Words, section: str) -> tuple[str, ...]:
        """The lines of a section that belong to the split."""
        lines = self.block.sections[section]
        return tuple(lines) if self.held_out else words.of(lines)

    def asks(self, argument: str) -> bool:
        """Whether there is text for asking for that argument."""
        return self.has(f"ask {argument}") and self.has(f"give {argument}")

    def value(self, rng: random.Random, words: Words, argument: str) -> tuple[str, object]:
        """(said, meant) of one argument."""
        if "enum" in self.properties[argument]:
            word = rng.choice(self.properties[argument]["enum"])
            return str(word), word
        if argument in self.kinds:
            return values.make(rng, words, self.kinds[argument], argument)
        lines = self._listed(argument)
        text = phrase(rng, words, rng.choice(lines if self.held_out else words.of(lines)))
        return text, text

    def _listed(self, argument: str) -> list[str]:
        listed = self.block.sections[f"values {argument}"]
        if listed and listed[0].startswith("= "):
            tool, _, other = listed[0][2:].partition(".")
            return BOOK[tool].block.sections[f"values {other}"]
        return listed


def phrase(rng: random.Random, words: Words, pattern: str) -> str:
    """A value that may hold kinds as slots: 'call {first_name} about the {product}'."""
    slots = {slot: slot_value(rng, words, slot)[0] for slot in SLOT.findall(pattern)}
    return fill(pattern, slots)


ANY = {"name": "first_name", "id": "id", "number": "integer"}


def slot_value(rng: random.Random, words: Words, slot: str) -> tuple[str, object]:
    """(said, meant) for `{price2}` or `{any_id}`: the kind that a slot names."""
    if values.RANGED.fullmatch(slot):
        return values.make(rng, words, slot)
    kind = slot.removeprefix("any_").rstrip("0123456789")
    kind = ANY.get(kind, kind) if slot.startswith("any_") else kind
    return values.make(rng, words, kind, modest=True)


def bound(pattern: str) -> tuple[str, dict]:
    """A pattern without its `@argument=value` suffixes, and what these fix.

    >>> bound("this is on fire @priority=high")
    ('this is on fire', {'priority': 'high'})
    """
    fixed = {name: LITERALS.get(value, value) for name, value in BINDING.findall(pattern)}
    return BINDING.sub("", pattern), fixed


LITERALS = {"true": True, "false": False}


def composed_tool(line: str) -> Tool:
    """A tool that no file has, from its signature."""
    made = schema(line)
    return Tool("composed", made, {}, Block(made["function"]["name"]), held_out=True)


def read_family(path: Path, held_out: bool = False) -> dict[str, Tool]:
    """The tools of one file, by name."""
    found = {}
    for block in blocks(path):
        made = schema(block.head)
        kinds = dict(KIND.findall(" ".join(block.under("kinds"))))
        tool = Tool(path.stem, made, kinds, block, held_out)
        found[tool.name] = tool
    return found


# By family, and all of them by name. What lies with the exam is never trained on.
FAMILIES = {path.stem: read_family(path) for path in sorted((TEXT / "tools").glob("*.txt"))}
HELD_OUT = {path.stem: read_family(path, True) for path in sorted(EXAM.glob("*.txt"))}
ALL_FAMILIES = FAMILIES | HELD_OUT
BOOK = {name: tool for family in ALL_FAMILIES.values() for name, tool in family.items()}
TOOLS = {name: BOOK[name].schema for family in COURSE for name in FAMILIES[family]}


def any_of(rng: random.Random, families: Iterable[str]) -> Tool:
    """A tool of one of the families, each family as likely as the other."""
    return rng.choice(list(ALL_FAMILIES[rng.choice(list(families))].values()))
