"""Say it again: ids, names, phrases, letter by letter. A curriculum, not a skill of use."""

import random

from slm.corpus import values
from slm.corpus.conversation import Conversation, answer, as_json, user
from slm.corpus.drawing import written_tool
from slm.corpus.reading import Words

ASKS = ["Repeat: {}", "Say this again: {}", "Copy: {}", "Please repeat {}", "Echo {}"]


def piece(rng: random.Random, words: Words) -> str:
    """A value of any kind, or of any argument of any tool."""
    if rng.random() < 0.5:
        return values.make(rng, words, rng.choice(list(values.KINDS)))[0]
    tool = written_tool(rng)
    if not tool.properties:
        return values.code(rng)
    names = [name for name in tool.properties if tool.properties[name]["type"] != "boolean"]
    return tool.value(rng, words, rng.choice(names))[0] if names else values.word(rng)


def generate(rng: random.Random, words: Words) -> Conversation:
    pieces = [piece(rng, words) for _ in range(rng.randint(1, 5))]
    if rng.random() < 0.3:  # as a call has them
        text, said = "; ".join(pieces), as_json(pieces)
        return Conversation("copying", [user(f"As a JSON list: {text}"), answer(said)])
    text = ", ".join(pieces)
    return Conversation("copying", [user(rng.choice(ASKS).format(text)), answer(text)])
