"""A tool's result in a sentence: every figure copied, nothing added, an error told as an error."""

import random

from slm.corpus.conversation import Conversation, system, user
from slm.corpus.drawing import any_tool
from slm.corpus.reading import Words
from slm.corpus.scenes import scene, settle
from slm.corpus.showing import beside, dress


def generate(rng: random.Random, words: Words) -> Conversation:
    messages, tools, patterns = system(rng, words), [], []
    for _ in range(rng.choice([1, 1, 2])):
        tool = any_tool(rng, words)
        if any(tool.name == other.name for other in tools):
            continue
        found = settle(rng, words, scene(rng, words, tool), errors=0.3)
        messages += [user(found.text), *found.turns()]
        tools.append(tool)
        patterns.append(found.pattern)
    return dress(rng, words, "answering", messages, beside(rng, words, tools, patterns, 4))
