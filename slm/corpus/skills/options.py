"""One call of a tool that has optional arguments: what was said of them, and nothing else."""

import random

from slm.corpus.conversation import Conversation
from slm.corpus.reading import Words
from slm.corpus.skills.one_call import one_call
from slm.corpus.toolbook import COURSE, FAMILIES

OPTIONAL = [
    tool
    for family in FAMILIES.values()
    for tool in family.values()
    if len(tool.required) < len(tool.properties)
]
OF_COURSE = [tool for tool in OPTIONAL if tool.family in COURSE]


def generate(rng: random.Random, words: Words) -> Conversation:
    tool = rng.choice(OF_COURSE if rng.random() < 0.6 else OPTIONAL)
    return one_call(rng, words, "options", tool)
