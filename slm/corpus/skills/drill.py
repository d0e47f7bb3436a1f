"""Request after request about one list of tools, each answered by its call alone: a curriculum.

A conversation of use spends most of its words on showing tools and on telling results. Here the
same list serves many requests for different tools of it, among them some that want no call or lack
an argument: three times as many decisions in as much text. Messages to be sorted come alike, many
for one list of labels.
"""

import random

from slm.corpus.conversation import Conversation, answer, calls, system, user
from slm.corpus.drawing import any_tool
from slm.corpus.reading import Words
from slm.corpus.scenes import Scene, scene
from slm.corpus.showing import dress, may_stand_beside
from slm.corpus.skills import ask_back, no_call, routing
from slm.corpus.toolbook import FAMILIES, Tool

SORTED = 0.2  # share of the conversations


def generate(rng: random.Random, words: Words) -> Conversation:
    if rng.random() < SORTED:
        return Conversation("drill", routing.sorting(rng, words, lambda labels: many(rng, labels)))
    count = rng.choice([2, 3, 3, 4, 4, 5])
    family = list(FAMILIES[rng.choice(list(FAMILIES))].values())
    related = rng.random() < 0.5

    def another() -> Tool:
        return rng.choice(family) if related and rng.random() < 0.8 else any_tool(rng, words)

    first: list[Scene] = []
    for _ in range(40):
        found = scene(rng, words, another())
        if all(found.tool.name != one.tool.name and apart(found, one) for one in first):
            first.append(found)
        if len(first) == count:
            break
    tools = [one.tool for one in first]
    requests = first[:]
    for _ in range(rng.randint(0, 5 - len(first)) if len(first) < 5 else 0):
        found = scene(rng, words, rng.choice(tools))
        others = [tool for tool in tools if tool is not found.tool]
        if all(may_stand_beside(found.pattern, found.tool, other) for other in others):
            requests.append(found)
    exchanges = [[user(one.text), calls(one.function)] for one in requests]
    for tool in tools:
        if rng.random() < 0.25 and (names := ask_back.askable(tool)):
            exchanges.append(lacking(rng, words, tool, rng.choice(names)))
    if rng.random() < 0.4:
        kind = rng.choice(["smalltalk", "out_of_scope", "mentions"])
        exchanges.append(no_call.exchange(rng, words, kind))
    rng.shuffle(exchanges)
    messages = [message for exchange in exchanges for message in exchange]
    rng.shuffle(tools)
    return dress(rng, words, "drill", [*system(rng, words), *messages], tools)


def many(rng: random.Random, labels: list[str]) -> list[str]:
    return rng.choices(labels, k=rng.randint(4, 9))


def apart(one: Scene, other: Scene) -> bool:
    """Whether neither wish can be taken for the other's tool."""
    return may_stand_beside(one.pattern, one.tool, other.tool) and may_stand_beside(
        other.pattern, other.tool, one.tool
    )


def lacking(rng: random.Random, words: Words, tool: Tool, name: str) -> list[dict]:
    """A wish without an argument, and the question for it."""
    begun = scene(rng, words, tool, f"missing {name}")
    return [user(begun.text), answer(ask_back.question(rng, words, tool, name))]
