"""Pick one label from the list in the system text, and say nothing else."""

import random

from slm.corpus import speech
from slm.corpus.conversation import Conversation, answer, user
from slm.corpus.reading import Block, Words
from slm.corpus.toolbook import phrase


def labels_of(block: Block) -> list[str]:
    line = next(line for line in block.lines if line.startswith("labels:"))
    return [label.strip() for label in line.removeprefix("labels:").split("|")]


def about(block: Block, label: str) -> str | None:
    """The definition of a label, if the block has one."""
    start = f"about {label}:"
    return next(
        (line[len(start) :].strip() for line in block.lines if line.startswith(start)), None
    )


def instruction(rng: random.Random, words: Words, labels: list[str], block: Block) -> str:
    """The system text: a sentence that holds the labels, or is followed by their definitions."""
    text = rng.choice(words["routing_ask"])
    plain = rng.choice([", ", ", ", " | ", " / ", "; "]).join(labels)
    if rng.random() < 0.15:
        plain = "[" + ", ".join(f'"{label}"' for label in labels) + "]"
    text = text.replace("LABELS", plain)
    if rng.random() < 0.4 and all(about(block, label) for label in labels):
        mark = rng.choice(["- ", "", "* "])
        text += "\n" + "\n".join(f"{mark}{label}: {about(block, label)}" for label in labels)
    return text


def message(rng: random.Random, words: Words, block: Block, label: str) -> str:
    pattern = rng.choice(words.of(block.sections[label]))
    if speech.is_lower(rng):
        pattern = pattern.lower()
    if rng.random() < 0.05:
        pattern = speech.careless(rng, pattern)
    return phrase(rng, words, pattern)


def generate(rng: random.Random, words: Words) -> Conversation:
    block = rng.choice(words.blocks("routing"))
    labels = [label for label in labels_of(block) if label in block.sections]
    rng.shuffle(labels)
    if len(labels) > 3 and rng.random() < 0.3:
        labels = labels[:-1]
    names = {label: label for label in labels}
    dice = rng.random()
    if dice < 0.12:  # the text decides how a label is written
        names = {label: label.upper() for label in labels}
    elif dice < 0.24:
        names = {label: label.replace("_", " ").title() for label in labels}
    shown = Block(block.head, [_renamed(line, names) for line in block.lines], {})
    system = instruction(rng, words, list(names.values()), shown)
    messages = [{"role": "system", "content": system}]
    for label in rng.sample(labels, rng.choice([1, 1, 1, 2])):
        messages += [user(message(rng, words, block, label)), answer(names[label], "label")]
    return Conversation("routing", messages)


def _renamed(line: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        if line.startswith(f"about {old}:"):
            return f"about {new}:" + line[len(f"about {old}:") :]
    return line
