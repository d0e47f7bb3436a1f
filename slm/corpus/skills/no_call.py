"""Small talk, questions about itself, and what is out of its reach: an answer and no call."""

import random

from slm.corpus import scenes, values
from slm.corpus.conversation import Conversation, answer, system, user
from slm.corpus.patterns import Patterns


def exchange(rng: random.Random, words: Patterns) -> list[dict]:
    kind = rng.choices(["smalltalk", "about", "out_of_scope"], [30, 50, 20])[0]
    if kind == "out_of_scope":
        text, said = rng.choice(words[kind]), rng.choice(words["out_of_scope_answers"])
    else:
        text, said = rng.choice(words[kind]).split("\t")
    text = values.spoken(rng, scenes.cased(rng, text)[0])
    return [user(text), answer(said)]


def generate(rng: random.Random, words: Patterns) -> Conversation:
    messages = system(rng)
    for _ in range(rng.choice([1, 1, 2, 3])):
        messages += exchange(rng, words)
    tools = [] if rng.random() < 0.4 else values.tools(rng)
    # Now and then somebody greets first and wants something then.
    if tools and rng.random() < 0.3:
        scene = rng.choice(scenes.SCENES)(rng, words)
        messages += [user(scene.text), *scene.turns()]
        tools = values.tools(rng, scene.tool)
    return Conversation("no_call", messages, tools)
