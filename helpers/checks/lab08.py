"""Checks of lab 08: verdicts, tables and devices made by hand, and drawn where many are needed."""

from math import sqrt

import numpy as np

LIMITS = ("storage", "speed", "quality")


def check_loss(loss) -> None:
    """`loss(before, after)`: lost less gained as a share, and Bonett and Price's interval."""
    cases = [(200, 0, 0), (400, 30, 11), (90, 3, 9), (1000, 60, 58)]
    for seed, (n, lost, gained) in enumerate(cases):
        before, after = _verdicts(8100 + seed, n, lost, gained)
        got = loss(before, after)
        assert got is not None, "loss returned None. Does it end with `return`?"
        assert isinstance(got, tuple | list) and len(got) == 3, (
            f"loss returned {got!r}, wanted three numbers: (loss, low, high)"
        )
        wanted = _loss(n, lost, gained)
        if not np.allclose(got, wanted, atol=1e-9):
            told = f"{n} cases, {lost} lost, {gained} gained: {_shares(got)}, wanted "
            mistake = _loss_mistake(n, lost, gained, got, before, after)
            raise AssertionError(f"{told}{_shares(wanted)}. {mistake}")
    print(
        f"ok: {len(cases)} pairs of verdicts; without a flip in 200 cases the loss is below 1.4 %"
    )


def check_front(front) -> None:
    """`front(table)`: the names that no other file dominates in size, perplexity and tokens/s."""
    table = {
        "best": _row(10, 5.0, 100),
        "twin 1": _row(5, 5.1, 120),
        "twin 2": _row(5, 5.1, 120),
        "small": _row(4, 6.0, 90),
        "small but slower": _row(4, 6.0, 80),
        "worse in all": _row(6, 5.2, 110),
        "fast": _row(9, 7.0, 200),
    }
    got = _names(front(table), table)
    assert got != {"small but slower", "worse in all"}, (
        "that is what is dominated. Wanted are the others, which no file dominates"
    )
    assert "worse in all" not in got, (
        '"worse in all" is on your front, and "twin 1" is smaller, better and faster. Compare '
        "every file with every other one, and take fewer tokens/s for worse, not for better"
    )
    assert "fast" in got, (
        '"fast" is missing: it is larger and worse than others, and faster than all of them. '
        "Three things count, and more tokens/s are better: compare -tokens_s"
    )
    assert "small but slower" not in got, (
        '"small but slower" is on your front. "small" equals it in size and perplexity and is '
        "faster: at least as good in all three, and better in at least one, is enough"
    )
    assert {"twin 1", "twin 2"} <= got, (
        "two files are equal in all three, and you left one or both out. Equals do not dominate "
        "each other: demand that it is better in at least one, as with `a != b`"
    )
    assert got == {"best", "twin 1", "twin 2", "small", "fast"}, f"your front is {sorted(got)}"
    rng = np.random.default_rng(8201)
    for number in range(20):
        values = rng.integers(1, 9, (12, 3))
        drawn = {f"file {n}": _row(*map(float, row)) for n, row in enumerate(values)}
        got, wanted = _names(front(drawn), drawn), _front(drawn)
        assert got == wanted, (
            f"in drawn table {number} your front has {sorted(got - wanted)} too many and lacks "
            f"{sorted(wanted - got)}. Compare every file with every other one, in all three"
        )
    print("ok: right by hand, with ties, and in 20 tables of 12 files")


def check_failures(failures) -> None:
    """`failures(row, device)`: which of "storage", "speed" and "quality" are broken."""
    device = {"storage_mb": 6.0, "slower": 20, "tokens_s": 50.0, "max_loss": 0.05}
    for row, wanted, why in (
        (_row(5, 6, 1200, (0.01, -0.01, 0.03)), set(), "it keeps every limit"),
        (_row(7, 6, 1200, (0.01, -0.01, 0.03)), {"storage"}, "7 MB do not fit into 6"),
        (
            _row(5, 6, 900, (0.01, -0.01, 0.03)),
            {"speed"},
            "900 tokens/s here are 45 on a device 20 times slower: divide by `slower`",
        ),
        (
            _row(5, 6, 1200, (0.04, 0.01, 0.07)),
            {"quality"},
            "the loss is 4 %, and may be 7 %: the upper end, row['loss'][2], must be below 5 %",
        ),
        (_row(6.0, 6, 1000, (0.02, -0.01, 0.05)), set(), "what equals a limit keeps it"),
        (
            _row(9, 9, 400, (0.20, 0.15, 0.25)),
            set(LIMITS),
            "it breaks all three: go on after the first",
        ),
    ):
        _failing(failures, row, device, wanted, why)
    other = {"storage_mb": 20.0, "slower": 2, "tokens_s": 500.0, "max_loss": 0.30}
    row = _row(9, 9, 1200, (0.20, 0.15, 0.25))
    _failing(failures, row, other, set(), "another device: use `device`, not fixed numbers")
    print("ok: seven files on two devices, each limit broken alone, all together, and just kept")


def check_choose(choose) -> None:
    """`choose(table, device)`: the best that keeps the limits, or None."""
    table = {
        "large": _row(10, 5.0, 1500, (0.0, -0.01, 0.01)),
        "middle": _row(5, 5.2, 1600, (0.01, -0.01, 0.03)),
        "quick": _row(4.5, 5.6, 2200, (0.03, 0.01, 0.05)),
        "small": _row(4, 5.9, 1300, (0.03, 0.0, 0.06)),
        "tiny": _row(2, 9.0, 2500, (0.30, 0.25, 0.35)),
    }
    roomy = {"storage_mb": 12, "slower": 10, "tokens_s": 100, "max_loss": 0.06}
    tight = roomy | {"storage_mb": 6}
    for limits, wants, wanted, why in (
        (roomy, "perplexity", "large", "all but tiny keep the limits, and large is the best"),
        (roomy, "size_mb", "small", "tiny is smaller, but loses too much; small keeps the limits"),
        (roomy, "tokens_s", "quick", 'of "tokens_s" the largest is wanted, among those that fit'),
        (tight, "perplexity", "middle", "large does not fit into 6 MB"),
        (tight | {"max_loss": 0.5}, "size_mb", "tiny", "this device allows so large a loss"),
    ):
        got = choose(table, limits | {"wants": wants})
        assert got is not None, (
            f"chosen: None, where {wanted} keeps all limits. Does choose end with `return`, and is "
            "a file kept when failures gives an empty list?"
        )
        assert not isinstance(got, dict | list | tuple), (
            f"choose returned {got!r:.60}; wanted the name of one file, such as {wanted!r}"
        )
        assert got == wanted, (
            f'chosen: {got!r} for a device that wants "{wants}", {limits["storage_mb"]} MB, at '
            f"most {limits['max_loss']:.0%} lost; wanted {wanted!r}: {why}"
        )
    hopeless = roomy | {"storage_mb": 1, "wants": "size_mb"}
    try:
        got = choose(table, hopeless)
    except ValueError as error:
        raise AssertionError(
            f"{error}. No file fits into 1 MB: return None before min or max see an empty list"
        ) from error
    assert got is None, f"chosen: {got!r} for a device with 1 MB, into which nothing fits: None"
    print("ok: the right file for five devices, and None where no file keeps the limits")


def _verdicts(seed, n, lost, gained):
    """Verdicts before and after, with so many flips; the two dicts are in different orders."""
    rng = np.random.default_rng(seed)
    kinds = [(True, False)] * lost + [(False, True)] * gained
    stay = n - len(kinds)
    kinds += [(True, True)] * (stay - stay // 4) + [(False, False)] * (stay // 4)
    pairs = {f"case {k}": kinds[k] for k in range(n)}
    orders = [[f"case {k}" for k in rng.permutation(n)] for _ in range(2)]
    return tuple({case: pairs[case][i] for case in orders[i]} for i in range(2))


def _loss(n, lost, gained, more=1, z=1.96):
    p, q, m = (lost + more) / (n + 2 * more), (gained + more) / (n + 2 * more), n + 2 * more
    half = z * sqrt((p + q - (p - q) ** 2) / m)
    return (lost - gained) / n, p - q - half, p - q + half


def _loss_mistake(n, lost, gained, got, before, after):
    value, low, high = _loss(n, lost, gained)
    rates = sum(before.values()) / n, sum(after.values()) / n
    apart = 1.96 * sqrt(sum(rate * (1 - rate) / n for rate in rates))
    pairs = zip(before.values(), after.values(), strict=True)
    by_place = sum(b and not a for b, a in pairs)
    flipped = lost + gained

    def like(*numbers):
        return np.allclose(got, numbers, atol=1e-6)

    if like(-value, -high, -low) and flipped:
        return "The sign is turned round: a case that was right before and is wrong now is a loss"
    if like(value, high, low):
        return "low and high are swapped"
    if like(100 * value, 100 * low, 100 * high):
        return "These are percent; wanted are shares"
    if like(*_loss(n, lost, gained, more=0)):
        return (
            "The interval lacks the cases that are added, one to lost, one to gained and two to "
            "n: without a flip it would have no width, as if 200 cases could prove there is none"
        )
    if like(value, value - apart, value + apart):
        return (
            "That is the interval of two rates of different cases. Here every case was asked "
            "twice: only flips count, by the formula above"
        )
    if by_place != lost and like(*_loss(n, by_place, by_place - lost + gained)):
        return (
            "The cases were compared by their place, and the two dicts are in different orders. "
            "Go by name: before[case] and after[case]"
        )
    if abs(got[0] - value) > 1e-9:
        if flipped and abs(got[0] - (lost - gained) / flipped) < 1e-9:
            return "The loss is a share of all cases, not of those that flipped"
        return "The first number is (lost - gained) / n"
    return "The loss is right and its interval is not: compare term by term with the formula"


def _shares(numbers):
    return "(" + ", ".join(f"{number:.4f}" for number in numbers) + ")"


def _row(size_mb, perplexity, tokens_s, loss=(0.0, 0.0, 0.0)):
    return {"size_mb": size_mb, "perplexity": perplexity, "tokens_s": tokens_s, "loss": loss}


def _names(got, table):
    assert got is not None, "front returned None. Does it end with `return`?"
    assert isinstance(got, list | tuple | set) and all(isinstance(name, str) for name in got), (
        f"front returned {got!r:.80}, wanted a list of names"
    )
    assert set(got) <= table.keys(), f"{sorted(set(got) - table.keys())} are not in the table"
    return set(got)


def _front(table):
    points = {n: (row["size_mb"], row["perplexity"], -row["tokens_s"]) for n, row in table.items()}
    return {
        name
        for name, point in points.items()
        if not any(
            other != point and all(x <= y for x, y in zip(other, point, strict=True))
            for other in points.values()
        )
    }


def _failing(failures, row, device, wanted, why):
    got = failures(dict(row), dict(device))
    assert got is not None, "failures returned None. Does it end with `return`?"
    assert isinstance(got, list | tuple | set) and set(got) <= set(LIMITS), (
        f'failures returned {got!r}, wanted a list with any of "storage", "speed" and "quality"'
    )
    assert set(got) == wanted, (
        f"a file of {row['size_mb']} MB, {row['tokens_s']} tokens/s and a loss of "
        f"{_shares(row['loss'])} breaks {sorted(got)} of {device}; wanted {sorted(wanted)}: {why}"
    )
