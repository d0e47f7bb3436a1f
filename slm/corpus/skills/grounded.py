"""Short answers from a passage, and "not in the text" when it is not there."""

import random

from slm.corpus import speech
from slm.corpus.conversation import Conversation, answer, user
from slm.corpus.reading import SLOT, Words
from slm.corpus.toolbook import slot_value


def generate(rng: random.Random, words: Words) -> Conversation:
    block = rng.choice(words.own("passages"))  # whole: nothing of it is in the other split
    slots: dict[str, str] = {}

    def filled(pattern: str) -> str:
        for slot in SLOT.findall(pattern):
            if slot not in slots:
                slots[slot] = slot_value(rng, words, slot)[0]
        return speech.fill(pattern, slots)

    text = filled(rng.choice(block.sections["passage"]))
    turns = []
    for _ in range(rng.choice([1, 1, 2, 3])):
        if rng.random() < 0.35:
            question = rng.choice(block.sections["missing"])
            said, accept = rng.choice(words["not_there"]), None
        else:
            question, _, answers = rng.choice(block.sections["facts"]).partition(" => ")
            accept = [filled(one) for one in answers.split(" | ")]
            said = rng.choice(accept)
        question = filled(question)
        if any(question.casefold() == asked.casefold() for asked, _ in turns):
            continue
        if speech.is_lower(rng):
            question = question.lower()
        said = speech.upper_first(said)
        turns.append((question, answer(said, "holds" if accept else "not there", accept)))
    return asked(rng, words, "grounded", text, turns)


def asked(rng: random.Random, words: Words, skill: str, text: str, turns: list) -> Conversation:
    """The text and its rule in a system message or not, then the questions with their answers."""
    rule = rng.choice(words["grounded_ask"])
    (first, said), *rest = turns
    dice = rng.random()
    if dice < 0.4:
        messages = [{"role": "system", "content": f"{rule}\n\n{text}"}, user(first)]
    elif dice < 0.7:
        messages = [{"role": "system", "content": rule}, user(f"{text}\n\n{first}")]
    else:
        mark = rng.choice(["Text: {}\nQuestion: {}", "{}\n\n{}", '"{}"\n{}', "Context:\n{}\n\n{}"])
        messages = [user(f"{rule}\n\n" + mark.format(text, first))]
    messages.append(said)
    for question, said in rest:
        messages += [user(question), said]
    return Conversation(skill, messages)
