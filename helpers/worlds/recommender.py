"""Two worlds to learn from: a newspaper's front page, and a traveller who chooses between trips.

On the front page every visit shows one topic at the top, and the visitor clicks on it or not. The
agent chooses the topic and learns from the click; it never sees the chances behind it. An agent
has two methods, one that decides and one that is told what came of it:

>>> class AlwaysSport:
...     def choose(self, percept):
...         return TOPICS.index("sport")
...     def learn(self, percept, topic, clicked):
...         pass
>>> history = FrontPage(seed=1).run(AlwaysSport(), visits=100)
>>> history.regret().shape
(100,)

Who comes, and who would click on what, depends on the seed alone: two agents can be compared on
the very same visits. The traveller is below.
"""

from dataclasses import dataclass

import numpy as np

TOPICS = ("politics", "sport", "science", "travel", "food", "music", "money", "gardening")
VISITORS = ("commuter", "student", "parent", "pensioner")


@dataclass(frozen=True)
class History:
    """What happened, one entry a visit."""

    topic: np.ndarray  # what was shown, an index of TOPICS
    clicked: np.ndarray  # bool
    chance: np.ndarray  # of a click on what was shown; the agent does not see it
    best: np.ndarray  # of a click on the best topic for this visitor at this time

    def regret(self) -> np.ndarray:
        """Clicks missed so far, on average: the best topic's chance less that of the one shown."""
        return np.cumsum(self.best - self.chance)


class FrontPage:
    """A front page on which one topic stands at the top.

    visitors    how many kinds of visitors come, 1 to 4, equally often; each has its own chances
    changes_at  the visits at which tastes change; none when empty

    `chances` has shape (1 + changes, visitors, topics): the chance of a click. In each row the best
    topic leads by at least 0.04, and a change puts it into the worse half of the topics.
    """

    def __init__(self, seed: int, visitors: int = 1, changes_at: tuple[int, ...] = ()):
        self.seed, self.kinds, self.changes_at = seed, VISITORS[:visitors], changes_at
        rng = np.random.default_rng([seed, 0])
        tastes = [_tastes(rng, [None] * visitors)]
        for _ in changes_at:
            tastes.append(_tastes(rng, tastes[-1]))
        self.chances = np.array(tastes)

    def run(self, agent, visits: int = 2000) -> History:
        """Let `agent` choose for so many visits. ValueError when it does not choose a topic."""
        crowd, mood = (np.random.default_rng([self.seed, k]) for k in (1, 2))
        kinds = crowd.integers(len(self.kinds), size=visits)
        phases = np.searchsorted(self.changes_at, np.arange(visits), side="right")
        chances = self.chances[phases, kinds]  # a row a visit
        shown, clicks = [], []
        # Lists: reading single numbers out of an array is slow.
        for kind, row, draw in zip(
            kinds.tolist(), chances.tolist(), mood.random(visits).tolist(), strict=True
        ):
            percept = {"visitor": self.kinds[kind]}
            topic = agent.choose(percept)
            if topic not in range(len(TOPICS)):
                raise ValueError(f"the agent chose {topic!r}; wanted 0 to {len(TOPICS) - 1}")
            clicked = draw < row[topic]
            agent.learn(percept, topic, clicked)
            shown.append(topic)
            clicks.append(clicked)
        topics = np.array(shown, dtype=int)
        chance = chances[np.arange(visits), topics]
        return History(topics, np.array(clicks), chance, chances.max(axis=1))


def _tastes(rng: np.random.Generator, before: list) -> list[np.ndarray]:
    """Chances of a click for every kind of visitor: half shared by all, half their own."""
    shared = rng.normal(0, 0.7, len(TOPICS))
    return [_taste(rng, shared, old) for old in before]


def _taste(rng: np.random.Generator, shared: np.ndarray, old: np.ndarray | None) -> np.ndarray:
    """One kind's chances; where tastes were `old` before, their favourite is out of fashion."""
    while True:
        chances = 1 / (1 + np.exp(2 - shared - rng.normal(0, 0.7, len(TOPICS))))
        ranked = np.sort(chances)
        out = old is None or chances[old.argmax()] < np.median(chances)
        if ranked[-1] - ranked[-2] >= 0.04 and out:
            return chances


TRIP = {
    "seat": ("aisle", "window"),
    "departure": ("morning", "evening"),
    "meal": ("vegetarian", "chicken"),
    "coach": ("quiet", "family"),
    "ticket": ("flexible", "cheap"),
}


class Traveller:
    """Somebody with tastes of their own, who is offered two trips at a time and takes one.

    `likes` says how much each attribute counts, as log-odds: above 0 for the first of its two
    values, below 0 for the second, exactly 0 for "I do not mind" (one attribute in four). What
    counts little is sometimes chosen against, as people do (a logistic choice model).
    """

    def __init__(self, seed: int):
        self._rng = np.random.default_rng([seed, 3])
        self.likes = {name: self._like() for name in TRIP}

    def offer(self) -> tuple[dict, dict]:
        """Two trips, drawn at random, such as {"seat": "aisle", "departure": "evening", ...}."""
        drawn = self._rng.integers(2, size=(2, len(TRIP)))
        first, second = (
            {name: values[i] for (name, values), i in zip(TRIP.items(), row, strict=True)}
            for row in drawn.tolist()
        )
        return first, second

    def takes(self, first: dict, second: dict) -> tuple[dict, dict]:
        """The trip the traveller takes, and the one left."""
        odds = self._worth(first) - self._worth(second)
        if self._rng.random() < 1 / (1 + np.exp(-odds)):
            return first, second
        return second, first

    def _like(self) -> float:
        minds, first = self._rng.random() < 0.75, self._rng.random() < 0.5
        strength = self._rng.uniform(0.5, 3)
        return (strength if first else -strength) if minds else 0.0

    def _worth(self, trip: dict) -> float:
        return sum(like * (trip[name] == TRIP[name][0]) for name, like in self.likes.items())
