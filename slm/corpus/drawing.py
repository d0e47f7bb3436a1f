"""Which tool a conversation is about."""

import random

from slm.corpus import composed
from slm.corpus.reading import Words
from slm.corpus.toolbook import COURSE, FAMILIES, Tool, any_of


def written_tool(rng: random.Random) -> Tool:
    """One of the course's, or of the other families that the corpus has text for."""
    return any_of(rng, COURSE if rng.random() < 0.6 else FAMILIES)


def any_tool(rng: random.Random, words: Words) -> Tool:
    return composed.tool(rng, words) if rng.random() < 0.25 else written_tool(rng)
