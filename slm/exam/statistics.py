"""How sure the figures are: intervals, flips, the area under the ROC curve, perplexity."""

import math
from collections.abc import Iterable
from pathlib import Path


def interval(right: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % confidence interval of a rate, as if every case were independent.

    Drawn cases share patterns, so that of a measure with few patterns it is too narrow.

    >>> [round(bound, 3) for bound in interval(90, 100)]
    [0.826, 0.945]
    """
    if not count:
        return 0.0, 1.0
    rate, square = right / count, z * z / count
    middle = (rate + square / 2) / (1 + square)
    half = z * math.sqrt(rate * (1 - rate) / count + square / count / 4) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def auroc(scores: list[float], right: list[bool]) -> float | None:
    """The chance that a right case scores higher than a wrong one; None when one kind is absent.

    >>> auroc([-0.1, -0.2, -3.0], [True, True, False])
    1.0
    """
    order = sorted(range(len(scores)), key=scores.__getitem__)
    ranks = [0.0] * len(scores)
    start = 0
    while start < len(order):  # equal scores share the mean of their ranks
        end = start
        while end + 1 < len(order) and scores[order[end + 1]] == scores[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            ranks[place] = (start + end) / 2 + 1
        start = end + 1
    positive = sum(right)
    negative = len(right) - positive
    if not positive or not negative:
        return None
    total = sum(rank for rank, is_right in zip(ranks, right, strict=True) if is_right)
    return (total - positive * (positive + 1) / 2) / (positive * negative)


def flips(before: dict[str, bool], after: dict[str, bool]) -> dict[str, int]:
    """Case by case: how many went from right to wrong, how many the other way."""
    both = before.keys() & after.keys()
    return {
        "cases": len(both),
        "right to wrong": sum(before[case] and not after[case] for case in both),
        "wrong to right": sum(after[case] and not before[case] for case in both),
    }


def perplexity(gguf: Path, texts: Iterable[str]) -> tuple[float, int]:
    """(perplexity, tokens) of a model's file on texts, each read from its own beginning.

    Needs llama-cpp-python (the extra `inside`): ImportError without it.
    """
    import llama_cpp
    import numpy as np

    model = llama_cpp.Llama(str(gguf), n_ctx=2048, logits_all=True, verbose=False, n_threads=1)
    loss, count = 0.0, 0
    try:
        for text in texts:
            ids = model.tokenize(text.encode("utf-8"), add_bos=False, special=True)[:2048]
            model.reset()
            model.eval(ids)
            logits = np.asarray(model.scores[: len(ids) - 1], dtype=np.float64)
            logits -= logits.max(axis=1, keepdims=True)
            chosen = logits[np.arange(len(ids) - 1), ids[1:]]
            loss += float((np.log(np.exp(logits).sum(axis=1)) - chosen).sum())
            count += len(ids) - 1
    finally:
        model.close()
    return math.exp(loss / count), count
