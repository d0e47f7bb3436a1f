"""Small talk, questions about itself, what is out of reach, what no tool here can do: no call."""

import random

from slm.corpus import speech
from slm.corpus.conversation import Conversation, answer, system, user
from slm.corpus.drawing import any_tool
from slm.corpus.reading import Words
from slm.corpus.scenes import full_scene, scene
from slm.corpus.showing import beside, dress, may_stand_beside

KINDS = {"smalltalk": 16, "about": 30, "out_of_scope": 18, "mentions": 14, "no_tool": 22}


def exchange(rng: random.Random, words: Words, kind: str) -> list[dict]:
    """One message that needs no tool, and the answer."""
    if kind == "out_of_scope":
        text, said = rng.choice(words[kind]), rng.choice(words["out_of_scope_answers"])
    else:
        text, said = rng.choice(words[kind]).split("\t")
    text = speech.as_typed(rng, text, speech.is_lower(rng))
    return [user(text), answer(said, "talk")]


def generate(rng: random.Random, words: Words) -> Conversation:
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    messages = system(rng, words)
    if kind == "no_tool":
        return no_tool(rng, words, messages)
    for turn in range(rng.choice([1, 1, 1, 2])):
        messages += exchange(rng, words, kind if turn == 0 else "smalltalk")
    tools, dice = [], rng.random()
    if dice < 0.8:
        tools = beside(rng, words, [], [])
    if dice < 0.2:  # somebody greets first, and wants something then
        wish = full_scene(rng, words, any_tool(rng, words))
        messages += [user(wish.text), *wish.turns()]
        tools = beside(rng, words, [wish.tool], [wish.pattern])
        if rng.random() < 0.5:
            messages += exchange(rng, words, "smalltalk")
    return dress(rng, words, "no_call", messages, tools)


def no_tool(rng: random.Random, words: Words, messages: list[dict]) -> Conversation:
    """A wish, but its tool is not among those shown."""
    wish = scene(rng, words, any_tool(rng, words))
    tools = [
        tool
        for tool in beside(rng, words, [wish.tool], [wish.pattern])
        if tool is not wish.tool
        and not wish.tool.family == tool.family == "composed"
        and may_stand_beside(wish.pattern, wish.tool, tool)
    ]
    messages += [user(wish.text), answer(rng.choice(words["no_tool_answers"]), "talk")]
    return dress(rng, words, "no_call", messages, tools)
