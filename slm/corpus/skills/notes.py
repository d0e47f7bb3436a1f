"""A few short notes about somebody, and what they say; or that they do not say it."""

import random

from slm.corpus import speech
from slm.corpus.conversation import Conversation, answer
from slm.corpus.reading import Words
from slm.corpus.skills.grounded import asked
from slm.corpus.toolbook import slot_value


def generate(rng: random.Random, words: Words) -> Conversation:
    name = slot_value(rng, words, "first_name")[0]
    things = rng.sample(words["notes_things"], rng.randint(2, min(8, len(words["notes_things"]))))
    noted, alike = rng.randint(1, min(5, len(things))), rng.choice(words["notes"])
    lines, turns = [], []
    for number, line in enumerate(things):
        thing, _, values = line.partition(" => ")
        slots = {"name": name, "thing": thing, "value": rng.choice(values.split(" | "))}
        form = alike if rng.random() < 0.7 else rng.choice(words["notes"])
        note, question, said = (speech.fill(part, slots) for part in form.split(" => "))
        if number < noted:
            lines.append(speech.upper_first(note))
            turn = answer(speech.upper_first(said), "holds", [slots["value"]])
        else:
            turn = answer(speech.upper_first(rng.choice(words["not_there"])), "not there")
        turns.append((question.lower() if speech.is_lower(rng) else question, turn))
    text = rng.choice([" ", " ", "\n"]).join(lines)
    return asked(rng, words, "notes", text, rng.sample(turns, 2))
