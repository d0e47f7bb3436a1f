"""One request, one call among one to six tools, one answer from the result."""

import random

from slm.corpus.conversation import Conversation, system, user
from slm.corpus.drawing import any_tool
from slm.corpus.reading import Words
from slm.corpus.scenes import full_scene
from slm.corpus.showing import beside, dress
from slm.corpus.toolbook import Tool


def generate(rng: random.Random, words: Words) -> Conversation:
    return one_call(rng, words, "one_call", any_tool(rng, words))


def one_call(rng: random.Random, words: Words, skill: str, tool: Tool) -> Conversation:
    """One exchange with the tool, shown among others."""
    scene = full_scene(rng, words, tool)
    messages = [*system(rng, words), user(scene.text), *scene.turns()]
    tools = beside(rng, words, [scene.tool], [scene.pattern])
    return dress(rng, words, skill, messages, tools)
