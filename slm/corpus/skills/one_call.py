"""One request, one call among one to six tools, one answer from the result."""

import random

from slm.corpus.conversation import Conversation, system, user
from slm.corpus.drawing import any_tool
from slm.corpus.reading import Words
from slm.corpus.scenes import full_scene
from slm.corpus.showing import beside, dress


def generate(rng: random.Random, words: Words) -> Conversation:
    scene = full_scene(rng, words, any_tool(rng, words))
    messages = [*system(rng, words), user(scene.text), *scene.turns()]
    tools = beside(rng, words, [scene.tool], [scene.pattern])
    return dress(rng, words, "one_call", messages, tools)
