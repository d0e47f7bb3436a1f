"""Which words of a request go with which words of a tool: counted, not learnt.

"Is it raining" goes with "weather". To find that out a network needs many thousands of steps; the
corpus says it by plain counting: the pointwise mutual information of a request's word and a word of
the tool that it wants (Church and Hanks, "Word Association Norms", 1990). The table is factored, so
that the product of a request's vector and a tool's is about that information (Levy and Goldberg,
2014): start weights for the head that finds a request's tool.
"""

import random

import numpy as np
import torch
from torch import Tensor

from slm import tokenizer as text
from slm.corpus.drawing import any_tool
from slm.corpus.reading import Words
from slm.corpus.scenes import scene
from slm.corpus.showing import shown

SHRUNK = 3  # a pair seen n times counts n / (n + SHRUNK) of its information
LEAST, MOST = -2, 6  # nats; what was never seen together says little


def associations(rank: int, requests: int = 120_000, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Vectors (vocab_size, rank) of a token in a request, and of one in a tool's line."""
    tokenizer, rng, words = text.load(), random.Random(seed), Words("train")
    size = tokenizer.get_vocab_size()
    together = np.zeros((size, size), np.float32)
    for _ in range(requests):
        tool = any_tool(rng, words)
        request = scene(rng, words, tool, bare=True)
        function = shown(rng, words, tool, 0.3)[0]["function"]
        arguments = ", ".join(function.get("parameters", {}).get("properties", {}))
        line = f"{function['name']}({arguments}) {function.get('description', '')}"
        asked = list(set(tokenizer.encode(request.text).ids))
        together[np.ix_(asked, list(set(tokenizer.encode(line).ids)))] += 1
    once = together.sum(1, keepdims=True) * together.sum(0, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.log(together * together.sum() / once)
    information = np.clip(np.nan_to_num(information, neginf=LEAST), LEAST, MOST)
    information *= together / (together + SHRUNK)
    left, strength, right = torch.svd_lowrank(torch.from_numpy(information), rank + 16, niter=4)
    root = strength[:rank].sqrt()
    return left[:, :rank] * root, right[:, :rank] * root
