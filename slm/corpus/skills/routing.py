"""Pick one label from the list in the system text, and say nothing else."""

import random
from collections.abc import Callable

from slm.corpus import speech
from slm.corpus.conversation import Conversation, answer, user
from slm.corpus.reading import Block, Words
from slm.corpus.toolbook import phrase


def instruction(
    rng: random.Random, words: Words, names: dict[str, str], about: dict[str, list[str]]
) -> str:
    """The system text: a sentence that holds the labels, or is followed by their definitions.

    names: how each label is written here. about: each label's definition, if the block has one.
    """
    text = rng.choice(words["routing_ask"])
    plain = rng.choice([", ", ", ", " | ", " / ", "; "]).join(names.values())
    if rng.random() < 0.15:
        plain = "[" + ", ".join(f'"{name}"' for name in names.values()) + "]"
    text = text.replace("LABELS", plain)
    if rng.random() < 0.4 and all(about.values()):
        mark = rng.choice(["- ", "", "* "])
        lines = (f"{mark}{name}: {about[label][0]}" for label, name in names.items())
        text += "\n" + "\n".join(lines)
    return text


def message(rng: random.Random, words: Words, block: Block, label: str) -> str:
    pattern = rng.choice(words.of(block.sections[label]))
    return phrase(rng, words, speech.as_typed(rng, pattern, speech.is_lower(rng), 0.05))


def sorting(rng: random.Random, words: Words, pick: Callable[[list], list]) -> list[dict]:
    """The system text, and a message with its answer for each label that is picked."""
    block = rng.choice(words.blocks("routing"))
    labels = [label.strip() for label in block.under("labels")[0].split("|")]
    labels = [label for label in labels if label in block.sections]
    rng.shuffle(labels)
    if len(labels) > 3 and rng.random() < 0.3:
        labels = labels[:-1]
    names = {label: label for label in labels}
    dice = rng.random()
    if dice < 0.12:  # the text decides how a label is written
        names = {label: label.upper() for label in labels}
    elif dice < 0.24:
        names = {label: label.replace("_", " ").title() for label in labels}
    about = {label: block.under(f"about {label}") for label in labels}
    messages = [{"role": "system", "content": instruction(rng, words, names, about)}]
    for label in pick(labels):
        messages += [user(message(rng, words, block, label)), answer(names[label], "label")]
    return messages


def generate(rng: random.Random, words: Words) -> Conversation:
    def few(labels: list) -> list:
        return rng.sample(labels, rng.choice([1, 1, 1, 2]))

    return Conversation("routing", sorting(rng, words, few))
