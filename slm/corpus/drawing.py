"""Which tool a conversation is about."""

import random

from slm.corpus import composed
from slm.corpus.reading import Words
from slm.corpus.toolbook import COURSE, FAMILIES, Tool


def course_tool(rng: random.Random) -> Tool:
    return rng.choice(list(FAMILIES[rng.choice(COURSE)].values()))


def written_tool(rng: random.Random) -> Tool:
    """One of the course's, or of the other families that the corpus has text for."""
    if rng.random() < 0.6:
        return course_tool(rng)
    return rng.choice(list(FAMILIES[rng.choice(list(FAMILIES))].values()))


def any_tool(rng: random.Random, words: Words) -> Tool:
    return composed.tool(rng, words) if rng.random() < 0.25 else written_tool(rng)
