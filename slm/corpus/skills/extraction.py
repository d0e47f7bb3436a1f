"""A text turned into JSON of a given schema: invoices, e-mails, appointments, orders, intakes..."""

import json
import random
from dataclasses import dataclass
from functools import cache

from slm.corpus import speech, values
from slm.corpus.conversation import Conversation, answer, as_json, user
from slm.corpus.reading import SLOT, Block, Words
from slm.corpus.toolbook import phrase, slot_value

MAIN = 0.6  # the share of the five kinds of text that the course's lessons use


@dataclass(frozen=True)
class Field:
    name: str
    type: str
    kind: str
    labels: tuple[str, ...]

    def draw(self, rng: random.Random, words: Words, block: Block) -> tuple[str, object]:
        """(said, meant)."""
        if f"values {self.name}" in block.sections:
            text = phrase(rng, words, rng.choice(words.of(block.sections[f"values {self.name}"])))
            return text, text
        if "|" in self.kind:
            text = rng.choice(self.kind.split("|"))
            return text, text
        said, meant = values.make(rng, words, self.kind, self.name)
        return said, str(meant) if self.type == "string" else meant


@cache
def fields(block_lines: tuple[str, ...]) -> tuple[Field, ...]:
    """`field total number money: total, amount` of a block, line by line."""
    found = []
    for line in block_lines:
        if line.startswith("field "):
            head, _, labels = line.removeprefix("field ").partition(":")
            name, kind, *rest = head.split()
            names = tuple(label.strip() for label in labels.split(","))
            found.append(Field(name, kind, rest[0] if rest else "", names))
    return tuple(found)


def generate(rng: random.Random, words: Words) -> Conversation:
    main = rng.random() < MAIN
    block = rng.choice(words.blocks("extraction" if main else "extraction_more"))
    pattern = rng.choice(words.of(block.sections["text"]))
    present = set(SLOT.findall(pattern))
    known = list(fields(tuple(block.lines)))
    # A schema asks for what the text has, mostly, and for a thing or two that it has not.
    wanted = [f for f in known if rng.random() < (0.85 if f.name in present else 0.5)] or known[:1]
    if rng.random() < 0.5:
        rng.shuffle(wanted)
    labels = {f.name: rng.choice(f.labels) for f in wanted}
    if len(set(labels.values())) < len(labels):
        labels = {f.name: f.name for f in wanted}
    said, meant = {}, {}
    for slot in SLOT.findall(pattern):
        field = next((f for f in known if f.name == slot), None)
        if field:
            said[slot], meant[slot] = field.draw(rng, words, block)
        else:
            said[slot] = slot_value(rng, words, slot)[0]
    text = speech.fill(pattern.replace("\\n", "\n").replace("\\t", "\t"), said)
    shape = schema(rng, wanted, labels)
    asked = rng.choice(words["extraction_ask"]).replace("FIELDS", shape).replace("\\n", "\n")
    content = {labels[f.name]: meant.get(f.name) for f in wanted}
    if rng.random() < 0.75:
        messages = [{"role": "system", "content": asked}, user(text)]
    else:
        messages = [user(f"{asked}\n\n{text}")]
    return Conversation("extraction", [*messages, answer(as_json(content), "json")])


def schema(rng: random.Random, wanted: list[Field], labels: dict[str, str]) -> str:
    """The fields as a system text shows them: a list, a signature, or a whole JSON schema."""

    def short(field: Field) -> str:
        return field.kind if "|" in field.kind else field.type

    style = rng.randrange(5)
    if style == 0:
        return ", ".join(labels[f.name] for f in wanted)
    if style == 1:
        return "{" + ", ".join(f"{labels[f.name]}: {short(f)}" for f in wanted) + "}"
    if style == 2:
        return "\n" + "\n".join(f"- {labels[f.name]} ({short(f)})" for f in wanted) + "\n"
    if style == 3:
        return json.dumps({labels[f.name]: short(f) for f in wanted})
    properties = {
        labels[f.name]: {"type": "string", "enum": f.kind.split("|")}
        if "|" in f.kind
        else {"type": [f.type, "null"] if rng.random() < 0.3 else f.type}
        for f in wanted
    }
    return json.dumps({"type": "object", "properties": properties, "required": list(properties)})
