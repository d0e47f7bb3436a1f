"""A country of towns and roads to plan in, and a delivery van's orders.

A thousand junctions on 120 by 80 km, around two lakes; some junctions are towns. Neighbouring towns
are joined by main roads, four of them also by motorways, which take a toll and have an older road
beside them. The rest is country roads: many, winding and slow. All of it follows from the seed.

>>> country = Country(seed=1)
>>> country.towns[:3]
('Alderton', 'Bramley', 'Corvale')
>>> road = country.roads_from("Alderton")[0]
>>> road.minutes > country.km_between("Alderton", road.to) / FASTEST_KMH * 60
True

Times of day are minutes since midnight:

>>> clock(read_time("4:15 pm"))
'16:15'
"""

import heapq
import re
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import dist

import numpy as np
from matplotlib.tri import Triangulation

NAMES = """Alderton Bramley Corvale Dunmere Elmsford Farrow Glenholm Hartwell Inverby Jarrow
Kelso Lindow Marwick Norbury Oakham Penrose""".split()
SPEED_KMH = {"motorway": 120, "main road": 80, "country road": 50}
WINDING = {"motorway": (1.02, 1.05), "main road": (1.05, 1.15), "country road": (1.15, 1.4)}
FASTEST_KMH = max(SPEED_KMH.values())
TOLL_EUR_KM = 0.15  # on motorways
WAGE_EUR_MIN = 0.40  # of a van's driver, also while waiting and unloading
UNLOADING_MIN = 10
MORNING, EVENING = 8 * 60, 18 * 60  # a van's day


@dataclass(frozen=True)
class Road:
    """From a junction to the next one."""

    to: str
    kind: str  # a key of SPEED_KMH
    km: float
    minutes: float
    toll: float  # €


class Country:
    """Places are named by strings: a town by its name, any other junction by a number."""

    def __init__(self, seed: int):
        rng = np.random.default_rng([seed, 3])
        points, lakes = _points(rng)
        edges = _edges(points, rng)
        towns = _far_apart(points, len(NAMES), rng)
        names = dict(zip(towns, NAMES, strict=True))
        self.xy = {names.get(i, str(i)): (x, y) for i, (x, y) in enumerate(points.tolist())}
        self.towns = tuple(NAMES)
        self.lakes = lakes  # ellipses: (x, y, width, height) in km
        self._roads: dict[str, list[Road]] = {place: [] for place in self.xy}
        places = list(self.xy)
        for (a, b), kind in _built(points, edges, towns):
            km = float(np.hypot(*(points[a] - points[b])) * rng.uniform(*WINDING[kind]))
            toll = TOLL_EUR_KM * km if kind == "motorway" else 0.0
            for here, there in ((a, b), (b, a)):
                road = Road(places[there], kind, km, 60 * km / SPEED_KMH[kind], toll)
                self._roads[places[here]].append(road)

    def roads_from(self, place: str) -> list[Road]:
        """The roads that begin here; every road also leads back. KeyError: no such place."""
        return self._roads[place]

    def km_between(self, a: str, b: str) -> float:
        """As the crow flies, km."""
        return dist(self.xy[a], self.xy[b])


@dataclass(frozen=True)
class Order:
    """A delivery: where to, and between which times it may begin (minutes since midnight)."""

    to: str
    opens: float
    closes: float
    tolls: bool = True  # False: no toll road on the way to this customer


def orders_of_the_day(country: Country, seed: int, depot: str, count: int = 5) -> list[Order]:
    """`count` orders, in no order, that one van can deliver which leaves `depot` at eight."""
    rng = np.random.default_rng([seed, 33])
    customers = rng.permutation([town for town in country.towns if town != depot])[:count].tolist()
    now, here, orders = float(MORNING), depot, []
    for town in customers:
        tolls = bool(rng.random() < 0.7)
        now += _minutes(country, here, town, tolls)
        before, after = (15 * rng.integers(1, 9, 2)).tolist()
        opens = max(MORNING, 15 * (now // 15) - before)
        orders.append(Order(town, opens, 15 * (now // 15) + after, tolls))
        now, here = now + UNLOADING_MIN, town
    return [orders[i] for i in rng.permutation(count)]


def clock(minutes: float) -> str:
    """Minutes since midnight as "9:05"; rounded to the minute."""
    hours, rest = divmod(round(minutes), 60)
    return f"{hours}:{rest:02}"


def read_time(text: str) -> int:
    """A time of day as people write it, in minutes since midnight.

    Knows "11:15", "by 16:00", "4 pm", "9:30am", "noon", "midday". ValueError for anything else.
    """
    words = str(text).strip().lower().removeprefix("by ").removeprefix("before ")
    if words in {"noon", "midday", "12 noon"}:
        return 12 * 60
    found = re.fullmatch(r"(\d{1,2})(?::(\d\d))?\s*([ap]m|o'clock)?", words)
    if not found or not (found[2] or found[3]):
        raise ValueError(f"{text!r} is no time of day; say it like 11:15 or 4 pm")
    hour, minute = int(found[1]), int(found[2] or 0)
    if found[3] in {"am", "pm"}:
        hour = hour % 12 + 12 * (found[3] == "pm") if 1 <= hour <= 12 else 24
    if hour > 23 or minute > 59:
        raise ValueError(f"{text!r} is no time of day; say it like 11:15 or 4 pm")
    return 60 * hour + minute


# ---- how a country is made


def _points(rng) -> tuple[np.ndarray, list[tuple]]:
    """Junctions on a grid of 3 km, shaken; none in the lakes."""
    x, y = np.meshgrid(np.arange(1.5, 120, 3.0), np.arange(1.5, 80, 3.0))
    points = np.column_stack([x.ravel(), y.ravel()]) + rng.uniform(-1.2, 1.2, (x.size, 2))
    points = points.round(2)
    lakes = []
    for left in (30, 75):
        centre = rng.uniform((left, 25), (left + 15, 55))
        width, height = rng.uniform(8, 16), rng.uniform(24, 40)
        lakes.append((*centre.tolist(), float(width), float(height)))
        points = points[(((points - centre) / (width / 2, height / 2)) ** 2).sum(axis=1) > 1]
    return points, lakes


def _edges(points, rng) -> list[tuple[int, int]]:
    """Pairs of neighbours: of the Delaunay triangulation, short ones, and not all of them."""
    edges = Triangulation(*points.T).edges
    km = np.hypot(*(points[edges[:, 0]] - points[edges[:, 1]]).T)
    # A spanning tree keeps the country in one piece; of the other edges two in five are built.
    group = list(range(len(points)))
    kept = []
    for k in np.argsort(km).tolist():
        a, b = edges[k].tolist()
        roots = [_root(group, a), _root(group, b)]
        if roots[0] != roots[1]:
            group[roots[0]] = roots[1]
            kept.append((a, b))
        elif km[k] < 5 and rng.random() < 0.4:
            kept.append((a, b))
    return kept


def _root(group: list[int], i: int) -> int:
    while group[i] != i:
        group[i] = group[group[i]]
        i = group[i]
    return i


def _far_apart(points, count, rng) -> list[int]:
    """`count` points, each drawn among those at least 16 km from the ones before."""
    free, chosen = np.arange(len(points)), []
    while len(chosen) < count:
        chosen.append(int(rng.choice(free)))
        free = free[np.hypot(*(points[free] - points[chosen[-1]]).T) >= 16]
        if len(free) == 0:
            free, chosen = np.arange(len(points)), []
    return chosen


def _built(points, edges, towns) -> list[tuple[tuple[int, int], str]]:
    """Every road with its kind: main roads join each town to its three nearest neighbours."""
    graph = {}
    for a, b in edges:
        km = float(np.hypot(*(points[a] - points[b])))
        graph.setdefault(a, {})[b] = graph.setdefault(b, {})[a] = km

    def between(pairs):
        paths = [_shortest(graph.get, a, b)[1] for a, b in pairs]
        return {tuple(sorted(edge)) for path in paths for edge in pairwise(path)}

    def near(town):
        return sorted(towns, key=lambda other: np.hypot(*(points[other] - points[town])))[1:4]

    main = between((town, other) for town in towns for other in near(town))
    roads = [(e, "main road" if tuple(sorted(e)) in main else "country road") for e in edges]
    return roads + [(edge, "motorway") for edge in sorted(between(combinations(towns[:4], 2)))]


def _shortest(steps, start, goal) -> tuple[float, list]:
    """Cost and places of the cheapest way; `steps(place)` maps its neighbours to costs."""
    frontier, done = [(0.0, start, None)], {}
    while frontier:
        cost, here, before = heapq.heappop(frontier)
        if here in done:
            continue
        done[here] = before
        if here == goal:
            path = [here]
            while done[path[-1]] is not None:
                path.append(done[path[-1]])
            return cost, path[::-1]
        for there, more in steps(here).items():
            heapq.heappush(frontier, (cost + more, there, here))
    raise ValueError(f"no way from {start} to {goal}")


def _minutes(country: Country, origin: str, destination: str, tolls: bool) -> float:
    def steps(place):
        roads = country.roads_from(place)
        # The motorways come last: where two roads lead to the same place, the faster one counts.
        return {road.to: road.minutes for road in roads if tolls or not road.toll}

    return _shortest(steps, origin, destination)[0]
