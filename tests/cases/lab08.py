"""Typical wrong answers to lab 08, see lab01.py here."""

from math import sqrt


def counted(before, after):
    lost = sum(before[case] and not after[case] for case in before)
    return len(before), lost, sum(after[case] and not before[case] for case in before)


def loss_of(n, lost, gained, more=1):
    """Right as it is called by default."""
    p, q, m = (lost + more) / (n + 2 * more), (gained + more) / (n + 2 * more), n + 2 * more
    half = 1.96 * sqrt((p + q - (p - q) ** 2) / m)
    return (lost - gained) / n, p - q - half, p - q + half


def no_return(*_):
    pass


def loss_turned_round(before, after):
    return loss_of(*counted(after, before))


def loss_in_percent(before, after):
    return tuple(100 * share for share in loss_of(*counted(before, after)))


def loss_not_adjusted(before, after):
    return loss_of(*counted(before, after), more=0)


def loss_of_two_rates(before, after):
    n = len(before)
    one, other = sum(before.values()) / n, sum(after.values()) / n
    half = 1.96 * sqrt(one * (1 - one) / n + other * (1 - other) / n)
    return one - other, one - other - half, one - other + half


def loss_by_place(before, after):
    pairs = list(zip(before.values(), after.values(), strict=True))
    lost, gained = sum(b and not a for b, a in pairs), sum(a and not b for b, a in pairs)
    return loss_of(len(pairs), lost, gained)


def loss_swapped(before, after):
    loss, low, high = loss_of(*counted(before, after))
    return loss, high, low


def loss_of_flips(before, after):
    n, lost, gained = counted(before, after)
    return (lost - gained) / max(1, lost + gained), *loss_of(n, lost, gained)[1:]


def loss_without_root(before, after):
    n, lost, gained = counted(before, after)
    p, q = (lost + 1) / (n + 2), (gained + 1) / (n + 2)
    half = 1.96 * (p + q - (p - q) ** 2) / (n + 2)
    return (lost - gained) / n, p - q - half, p - q + half


def loss_alone(before, after):
    return loss_of(*counted(before, after))[0]


def point(row, sign=-1):
    return row["size_mb"], row["perplexity"], sign * row["tokens_s"]


def weak(a, b):
    return all(x <= y for x, y in zip(a, b, strict=True))


def right_front(table, point=point, dominates=lambda a, b: a != b and weak(a, b)):
    """Right as it is called by default."""
    return [
        name
        for name in table
        if not any(dominates(point(table[o]), point(table[name])) for o in table if o != name)
    ]


def front_strict(table):
    def dominates(a, b):
        return all(x < y for x, y in zip(a, b, strict=True))

    return right_front(table, dominates=dominates)


def front_without_equals(table):
    return right_front(table, dominates=weak)


def front_slow(table):
    return right_front(table, point=lambda row: point(row, sign=1))


def front_of_two(table):
    return right_front(table, point=lambda row: point(row)[:2])


def front_dominated(table):
    return [name for name in table if name not in right_front(table)]


def front_of_rows(table):
    return [table[name] for name in right_front(table)]


def right_failures(
    row, device, end=2, speed=lambda row, device: row["tokens_s"] / device["slower"]
):
    """Right as it is called by default."""
    broken = {
        "storage": row["size_mb"] > device["storage_mb"],
        "speed": speed(row, device) < device["tokens_s"],
        "quality": row["loss"][end] > device["max_loss"],
    }
    return [name for name, is_broken in broken.items() if is_broken]


def failures_here(row, device):
    return right_failures(row, device, speed=lambda row, device: row["tokens_s"])


def failures_of_the_rate(row, device):
    return right_failures(row, device, end=0)


def failures_first_only(row, device):
    return right_failures(row, device)[:1]


def failures_at_the_limit(row, device):
    broken = {
        "storage": row["size_mb"] >= device["storage_mb"],
        "speed": row["tokens_s"] / device["slower"] <= device["tokens_s"],
        "quality": row["loss"][2] >= device["max_loss"],
    }
    return [name for name, is_broken in broken.items() if is_broken]


def failures_turned_round(row, device):
    broken = right_failures(row, device)
    return [name for name in ("storage", "speed", "quality") if name not in broken]


def failures_one_word(row, device):
    return "storage" if row["size_mb"] > device["storage_mb"] else "none"


def fits(table, device):
    return [name for name in table if not right_failures(table[name], device)]


def choose_ignores_limits(table, device):
    best = max if device["wants"] == "tokens_s" else min
    return best(table, key=lambda name: table[name][device["wants"]])


def choose_always_min(table, device):
    return min(fits(table, device), key=lambda name: table[name][device["wants"]])


def choose_smallest(table, device):
    return min(fits(table, device), key=lambda name: table[name]["size_mb"], default=None)


def choose_something(table, device):
    best = max if device["wants"] == "tokens_s" else min
    return best(fits(table, device) or table, key=lambda name: table[name][device["wants"]])


def choose_no_none(table, device):
    best = max if device["wants"] == "tokens_s" else min
    return best(fits(table, device), key=lambda name: table[name][device["wants"]])


def choose_row(table, device):
    return table[fits(table, device)[0]]


WRONG = {
    "check_loss": [
        (no_return, "return"),
        (loss_turned_round, "sign"),
        (loss_in_percent, "percent"),
        (loss_not_adjusted, "no width"),
        (loss_of_two_rates, "asked twice"),
        (loss_by_place, "by their place"),
        (loss_swapped, "swapped"),
        (loss_of_flips, "share of all cases"),
        (loss_without_root, "term by term"),
        (loss_alone, "three numbers"),
    ],
    "check_front": [
        (no_return, "return"),
        (front_strict, "at least one"),
        (front_without_equals, "Equals do not dominate"),
        (front_slow, "take fewer tokens/s for worse"),
        (front_of_two, "-tokens_s"),
        (front_dominated, "that is what is dominated"),
        (front_of_rows, "list of names"),
    ],
    "check_failures": [
        (no_return, "return"),
        (failures_here, "divide by `slower`"),
        (failures_of_the_rate, "upper end"),
        (failures_first_only, "go on after the first"),
        (failures_at_the_limit, "equals a limit"),
        (failures_turned_round, "keeps every limit"),
        (failures_one_word, "any of"),
    ],
    "check_choose": [
        (no_return, "return"),
        (choose_ignores_limits, "loses too much"),
        (choose_always_min, "the largest is wanted"),
        (choose_smallest, "large is the best"),
        (choose_something, "nothing fits"),
        (choose_no_none, "return None before"),
        (choose_row, "the name of one file"),
    ],
}
