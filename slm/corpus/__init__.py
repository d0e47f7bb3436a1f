"""The conversations the course's models learn from: generated, seeded, endless.

A *skill* is one small module in `slm/corpus/skills/` with a function
`generate(rng, words) -> Conversation`. It fills hand-written patterns (`slm/corpus/text/`) with
values of open sets (`values`). To teach something new, add a module and give it a share in
`SHARES`; to teach a tool, add a block to a file of `text/tools/`.

>>> conversation = next(conversations(seed=1))
>>> conversation.messages[0]["role"] in {"system", "user"}
True
"""

import random
from collections.abc import Iterator
from importlib import import_module

from slm.corpus.conversation import Conversation
from slm.corpus.reading import Words

__all__ = ["SHARES", "Conversation", "conversations"]

# The share of each skill in the training conversations. `copying` is a curriculum: training begins
# with much of it, because a model that cannot copy yet invents every argument. So is `drill`, which
# has no share here: `slm.train` adds it.
SHARES = {
    "one_call": 23,
    "options": 3,
    "chains": 9,
    "parallel": 8,
    "no_call": 17,
    "ask_back": 9,
    "answering": 6,
    "routing": 5,
    "extraction": 6,
    "grounded": 5,
    "notes": 4,
    "memory": 7,
    "drafts": 3,
    "authority": 6,
    "copying": 3,
}


def conversations(
    seed: int, split: str = "train", shares: dict[str, float] | None = None
) -> Iterator[Conversation]:
    """Yield conversations for ever; the same seed gives the same ones.

    split: "train" or "exam". What a user says, what a tool returns and the values that come from
    lists belong to one of the two only, and so does every passage. The plans of chains, labels,
    rules and the wordings of answers are shared.
    """
    shares = shares or SHARES
    skills = [import_module(f"slm.corpus.skills.{name}") for name in shares]
    weights = list(shares.values())
    rng, words = random.Random(seed), Words(split)
    while True:
        yield rng.choices(skills, weights)[0].generate(rng, words)
