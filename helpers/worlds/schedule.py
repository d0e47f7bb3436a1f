"""A print shop with one press: jobs that wait, each with a deadline and a price for being late.

>>> shop = PrintShop(seed=1, count=3)
>>> len(list(shop.timeline(shop.jobs)))
3
>>> shop.penalty(shop.jobs) >= 0
True

Jobs are drawn as is usual for this problem, total weighted tardiness on one machine: durations and
weights at random, deadlines spread around a part of the total work (Potts and Van Wassenhove,
Operations Research 33(2), 1985).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

NAMES = """posters menus leaflets tickets flyers labels maps calendars booklets postcards banners
catalogues badges programmes stickers folders""".split()


@dataclass(frozen=True, eq=False)  # compared by identity: sets of jobs are looked up very often
class Job:
    name: str
    hours: float  # on the press
    deadline: float  # hours from now
    penalty: float  # € for each hour it is late

    def late(self, end: float) -> float:
        """What it costs, in €, when the job is done at `end` (hours from now)."""
        return self.penalty * max(0.0, end - self.deadline)


class PrintShop:
    """`count` jobs (at most 16), in the order they came in. The press takes one at a time."""

    def __init__(self, seed: int, count: int = 10):
        rng = np.random.default_rng([seed, 4])
        hours = rng.integers(1, 13, count) / 2
        low, high = 0.15 * hours.sum(), 0.85 * hours.sum()
        deadlines = np.maximum(hours, np.round(2 * rng.uniform(low, high, count)) / 2)
        penalties = 5 * rng.integers(1, 11, count)
        names = rng.permutation(NAMES)[:count]
        columns = (names, hours, deadlines, penalties)
        self.jobs = [Job(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]

    def timeline(self, order: Iterable[Job]) -> Iterator[tuple[Job, float, float]]:
        """Every job with its start and its end, in hours from now, when printed in this order."""
        now = 0.0
        for job in order:
            yield job, now, now + job.hours
            now += job.hours

    def penalty(self, order: Iterable[Job]) -> float:
        """What being late costs in all, in €."""
        return sum(job.late(end) for job, _, end in self.timeline(order))
