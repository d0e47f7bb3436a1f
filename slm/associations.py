"""Which words of a request go with those of a tool or a label: learnt first, from bags of words.

"Is it raining" goes with "weather". A network that is to learn that together with everything else
needs many thousands of steps; a model that knows no order learns it in a minute: each word has a
vector as a word of a request, another as a word of a tool's line, and a weight in either; a tool
fits as well as the weighted means of both sides agree, and the one that was wanted has to fit best.
What it learnt are start weights for the heads that find a request's tool.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slm import tokenizer as text
from slm.corpus import conversations
from slm.guidance import CALL, LINES, TURN, described

SHARP = 16.0  # of agreement, so that vectors of length about 1 can decide
UNSEEN = -4.0  # the weight of what stands in no request, or in no line: markers, brackets
RATE = 5e-3

Choice = tuple[list[int], list[list[int]], int]


@dataclass
class Associations:
    """One row a token: vectors (vocab_size, rank), and logarithms of weights (vocab_size,)."""

    asked: Tensor
    offered: Tensor
    asked_weight: Tensor
    offered_weight: Tensor


def associations(rank: int, amount: int, seed: int = 1) -> Associations:
    """Learn from the choices in so many conversations."""
    torch.manual_seed(seed)
    size = text.load().get_vocab_size()
    asked = nn.Parameter(torch.randn(size, rank) * 0.3)
    offered = nn.Parameter(asked.detach().clone())  # a word goes with itself, to begin with
    weights = [nn.Parameter(torch.zeros(size)) for _ in range(2)]
    optimizer = torch.optim.Adam([asked, offered, *weights], lr=RATE)
    seen = torch.zeros(2, size, dtype=torch.bool)
    for requests, lines, owners, wanted in batches(amount, seed):
        seen[0, requests[0]] = seen[1, lines[0]] = True
        ours = means(asked, weights[0], *requests)
        theirs = means(offered, weights[1], *lines)
        agreed = SHARP * (ours.index_select(0, owners) * theirs).sum(1)
        counts = owners.bincount()
        first = counts.cumsum(0) - counts
        each = torch.full((len(wanted), int(counts.max())), float("-inf"))
        each[owners, torch.arange(len(owners)) - first[owners]] = agreed
        loss = F.cross_entropy(each, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    logs = [
        torch.where(known, weight.detach(), UNSEEN)
        for known, weight in zip(seen, weights, strict=True)
    ]
    return Associations(asked.detach(), offered.detach(), *logs)


def means(vectors: Tensor, weights: Tensor, tokens: Tensor, bags: Tensor) -> Tensor:
    """The weighted mean of each bag's vectors, (bags, rank); `bags` says each token's bag."""
    weighed = weights.index_select(0, tokens).exp()[:, None]
    count = int(bags[-1]) + 1
    total = torch.zeros(count, vectors.shape[1]).index_add(
        0, bags, vectors.index_select(0, tokens) * weighed
    )
    return total / torch.zeros(count, 1).index_add(0, bags, weighed)


def choices(amount: int, seed: int) -> Iterator[Choice]:
    """A request's tokens, those of each tool's or label's line, and the index of the right one."""
    tokenizer = text.load()

    def tokens(some: str) -> list[int]:
        return tokenizer.encode(some).ids

    for number, conversation in enumerate(conversations(seed, "train", {"drill": 1})):
        if number == amount:
            return
        rendered = text.render(conversation.messages, conversation.tools)
        shown = rendered.partition("<|im_end|>")[0]
        lines = {match[1]: tokens(match[0]) for match in LINES.finditer(shown)}
        turns, exchanges = list(TURN.finditer(rendered)), []
        for asked, turn in pairwise(turns):
            if (asked[1], turn[1]) == ("user", "assistant"):
                called = CALL.findall(turn[0])
                exchanges.append((asked[2], [name for name, _ in called] or [turn[2]]))
        if not conversation.tools:
            for _, (label,) in exchanges:
                begin, end = described(label, shown) or (0, 0)
                lines[label] = tokens(shown[begin:end] or label)
        for request, wanted in exchanges:
            if len(lines) > 1 and len(wanted) == 1 and wanted[0] in lines:
                yield tokens(request), list(lines.values()), list(lines).index(wanted[0])


def batches(amount: int, seed: int, size: int = 128, pool: int = 4096) -> Iterator[tuple]:
    """Choices, mixed within a pool: bags of tokens, whose request a line answers, the right one."""
    rng, waiting = random.Random(seed), []
    for choice in choices(amount, seed):
        waiting.append(choice)
        if len(waiting) == pool:
            rng.shuffle(waiting)
            while len(waiting) >= size:
                yield to_batch(waiting[:size])
                del waiting[:size]
    for begin in range(0, len(waiting), size):
        yield to_batch(waiting[begin : begin + size])


def to_batch(some: list[Choice]) -> tuple:
    lines = [line for _, offered, _ in some for line in offered]
    owners = [index for index, (_, offered, _) in enumerate(some) for _ in offered]
    wanted = torch.tensor([right for *_, right in some])
    return bagged([request for request, *_ in some]), bagged(lines), torch.tensor(owners), wanted


def bagged(bags: list[list[int]]) -> tuple[Tensor, Tensor]:
    """All bags' tokens in a row, and the bag of each."""
    sizes = torch.tensor([len(bag) for bag in bags])
    tokens = torch.tensor([token for bag in bags for token in bag])
    return tokens, torch.arange(len(bags)).repeat_interleave(sizes)
