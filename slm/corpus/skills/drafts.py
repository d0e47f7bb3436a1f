"""Short drafts and summaries from given facts: an e-mail reply, a daily report."""

import random

from slm.corpus import speech
from slm.corpus.conversation import Conversation, answer, system, user
from slm.corpus.reading import SLOT, Words
from slm.corpus.toolbook import slot_value


def generate(rng: random.Random, words: Words) -> Conversation:
    block = rng.choice(words.blocks("drafts"))
    facts = rng.choice(words.of(block.sections["facts"]))
    texts = words.of(block.sections["text"])
    fitting = [text for text in texts if set(SLOT.findall(text)) <= set(SLOT.findall(facts))]
    text = rng.choice(fitting or block.sections["text"])
    slots = {}
    for slot in [*SLOT.findall(facts), *SLOT.findall(text)]:
        if slot not in slots:
            slots[slot] = slot_value(rng, words, slot)[0]
    given = speech.fill(facts, slots).replace("\\n", "\n")
    ask = rng.choice(words.of(block.sections["ask"]))
    dice = rng.random()
    if dice < 0.35:
        asked = f"{ask}\n\n{given}"
    elif dice < 0.6:
        asked = f"{given}\n\n{ask}"
    elif dice < 0.8:
        asked = f"{ask.rstrip('.:')}:\n{given}"
    else:
        return Conversation(
            "drafts",
            [
                {"role": "system", "content": ask},
                user(given),
                answer(speech.fill(text, slots).replace("\\n", "\n"), "draft"),
            ],
        )
    said = speech.fill(text, slots).replace("\\n", "\n")
    return Conversation("drafts", [*system(rng, words), user(asked), answer(said, "draft")])
