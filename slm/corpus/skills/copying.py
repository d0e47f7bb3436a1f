"""Say it again: ids, names, phrases, letter by letter. A curriculum, not a skill of use."""

import random

from slm.corpus import values
from slm.corpus.conversation import Conversation, answer, user
from slm.corpus.patterns import Patterns


def piece(rng: random.Random, words: Patterns) -> str:
    return str(
        rng.choice(
            [
                lambda: values.city(rng, words),
                lambda: values.room(rng, words),
                lambda: values.order_id(rng),
                lambda: values.issue(rng, words),
                lambda: values.temperature(rng, -15, 38),
                lambda: values.name(rng),
                lambda: values.date(rng),
            ]
        )()
    )


def generate(rng: random.Random, words: Patterns) -> Conversation:
    pieces = [piece(rng, words) for _ in range(rng.randint(1, 5))]
    text = ", ".join(pieces)
    ask = rng.choice(
        ["Repeat: {}", "Say this again: {}", "Copy: {}", "Please repeat {}", "Echo {}"]
    )
    return Conversation("copying", [user(ask.format(text)), answer(text)])
