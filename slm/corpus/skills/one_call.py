"""One request, one call, among one to five tools; sometimes a second request follows."""

import random

from slm.corpus import scenes, values
from slm.corpus.conversation import Conversation, system, user
from slm.corpus.patterns import Patterns


def generate(rng: random.Random, words: Patterns) -> Conversation:
    count = 2 if rng.random() < 0.2 else 1
    chosen = [scene(rng, words) for scene in rng.choices(scenes.SCENES, k=count)]
    messages = system(rng)
    for scene in chosen:
        messages += [user(scene.text), *scene.turns()]
    tools = values.tools(rng, *dict.fromkeys(scene.tool for scene in chosen))
    return Conversation("one_call", messages, tools)
