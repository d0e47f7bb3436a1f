"""Checks of lab 02, the robot that comes home: small maps made by hand, then unseen flats."""

import numpy as np

from helpers.worlds.vacuum import CLEAN_COST, MOVES, Flat, beside

SEEDS = (4301, 4302, 4303, 4304, 4305, 4306)  # flats the notebook does not show
BATTERY, COVERED = 600, 60  # units of charge, and the share of the floor (%) they must be good for
PLENTY = 1300  # units: enough for the whole of a flat
DOCK = (0, 0)

# Two rooms and a door; "." is visited, "?" free, "#" a wall. The dock (0, 0) is the lower left ".".
ROOMS = """
#########
#.......#
#...#...#
#...#..?#
#...#...#
#########
"""


def check_look(look) -> None:
    """`look(known, position, percept)` enters a percept into the map, in place."""
    known = {}
    look(known, DOCK, _percept("west", "south"))
    assert known, (
        "the map is still empty after look(known, …). Change the dict you were given "
        "(known[cell] = …) instead of making a new one"
    )
    assert known.get(DOCK) == "visited", (
        f"after look(known, (0, 0), …) the map says {known.get(DOCK)!r} of (0, 0), wanted "
        '"visited": the robot stands there'
    )
    for direction in MOVES:
        wanted = "wall" if direction in ("west", "south") else "free"
        got = known.get(beside(DOCK, direction))
        assert got == wanted, (
            f"the percept says blocked to west and south. Of the cell to the {direction} the map "
            f'says {got!r}, wanted "{wanted}". Every one of the four neighbours is entered'
        )
    look(known, (0, 1), _percept("west"))
    assert (0, 1) in known and known[0, 1] == "visited" and known.get((0, 2)) == "free", (
        "looking around at (0, 1) did not enter (0, 1) and its neighbours. Count from `position`, "
        "not from (0, 0)"
    )
    assert known[DOCK] == "visited", (
        'seen from (0, 1) the cell (0, 0), visited before, became "free" again: the robot would '
        'go there twice. Leave what is "visited" as it is'
    )
    for seed in SEEDS[:3]:
        mine, right = {}, {}
        for cell, percept in _stroll(seed):
            look(mine, cell, percept)
            _look(right, cell, percept)
        wrong = sorted(cell for cell in right if mine.get(cell) != right[cell])
        assert not wrong and mine.keys() == right.keys(), (
            f"after a stroll through an unseen flat {len(wrong)} cells of the map are wrong and "
            f"{len(mine.keys() - right.keys())} should not be there"
        )
    print("ok: right on maps made by hand and on strolls through 3 unseen flats")


def check_route(route) -> None:
    """`route(known, start, goals)` is the shortest way over known floor, as a list of moves."""
    known = _drawn(ROOMS)
    assert route(known, (2, 2), {(2, 2)}) == [], "who stands on a goal needs no move: [] is wanted"
    moves = _walk(route, known, DOCK, {(0, 2)})
    assert moves == ["north", "north"], (
        f'from (0, 0) to (0, 2) the route is {moves}, wanted ["north", "north"]: the moves from '
        "the start to the goal, in this order"
    )
    _walk(route, known, DOCK, {(6, 1)})
    # As the crow flies (4, 0) is nearer to (2, 0) than (0, 1) is, but a wall stands between.
    moves = route(known, (2, 0), {(4, 0), (0, 1)})
    assert _end((2, 0), moves) != (4, 0), (
        "of two goals the route leads to the one that is nearer as the crow flies, behind a wall. "
        "Spread from the start over known floor, one move further at a time: the first goal met is "
        "the nearest"
    )
    _walk(route, known, (2, 0), {(4, 0), (0, 1)})
    # Three sides of a square; of the cell on the fourth the map says nothing.
    bend = dict.fromkeys([(0, 0), (0, 1), (1, 1), (2, 1), (2, 0)], "visited")
    _walk(route, bend, (0, 0), {(2, 0)})
    for goals, what in ((set(), "no goals"), ({(3, 2)}, "a wall"), ({(20, 20)}, "an unknown cell")):
        moves = route(known, DOCK, goals)
        assert moves is None, (
            f"a route to {what} is {moves!r}, wanted None: it can drive only on floor the map knows"
        )
    for seed in SEEDS[:2]:
        known = {}
        for cell, percept in _stroll(seed):
            _look(known, cell, percept)
        free = {cell for cell, what in known.items() if what == "free"}
        for goals in (free, {DOCK}):
            _walk(route, known, cell, goals)
    print("ok: the shortest way in two rooms and in 2 unseen flats")


def check_affordable(affordable) -> None:
    """`affordable(known, position, moves, battery)`: go there, clean, and drive home."""
    known = _drawn(ROOMS)
    there = ["north"] * 3
    need = 3 + CLEAN_COST + 3
    _boundary(affordable, known, DOCK, there, need, "three moves there, cleaning, three moves home")
    need = 0 + CLEAN_COST + 3
    _boundary(affordable, known, (0, 3), [], need, "no move: to clean where it is, and drive home")
    # (4, 0) is four cells from the dock, but the way home leads through the door.
    need = 3 + CLEAN_COST + 10
    _boundary(affordable, known, (4, 3), ["south"] * 3, need, "behind a wall: home by the door")
    need = 1 + CLEAN_COST + 10
    _boundary(affordable, known, (6, 1), ["west"], need, "a move that leads nearer to the dock")
    print("ok: right to the unit, also behind a wall")


def check_explorer(explorer) -> None:
    """`Explorer()` cleans what it can and is back on its dock, in every unseen flat."""
    runs = [_live(explorer, seed, BATTERY) for seed in SEEDS]
    covered = np.mean([run.performance()["covered_%"] for run in runs])
    left = BATTERY - max(run.energy[-1] for run in runs)
    assert covered >= COVERED, (
        f"always home, but only {covered:.0f} % of the floor covered on average with {BATTERY} "
        f"units, wanted {COVERED} %. "
        + (
            f"At least {left} units were left each time: turn back only when the nearest free cell "
            "is not affordable"
            if left > 50
            else "Go to the nearest free cell: route(…) with all free cells as goals"
        )
    )
    whole = _live(explorer, SEEDS[0], PLENTY)
    share = whole.performance()["covered_%"]
    assert share == 100, (
        f"with {PLENTY} units, enough for the whole flat, it covered {share} %. Turn back when "
        "nothing free is left or affordable, not at a fixed charge"
    )
    print(f"ok: home from {len(runs)} unseen flats, {covered:.0f} % covered with {BATTERY} units")


# ---- what the checks share


def _percept(*blocked, dirt=False, battery=BATTERY):
    return {
        "dirt": dirt,
        "blocked": blocked,
        "heading": "north",
        "docked": False,
        "battery": battery,
    }


def _look(known, position, percept):
    known[position] = "visited"
    for direction in MOVES:
        wall = "wall" if direction in percept["blocked"] else "free"
        if known.get(beside(position, direction)) != "visited":
            known[beside(position, direction)] = wall


def _stroll(seed, steps=400):
    """What a robot that turns at random meets: cells, counted from the dock, with percepts."""
    coin, met, position = np.random.default_rng(seed), [], DOCK

    def agent(percept):
        nonlocal position
        met.append((position, percept))
        free = [d for d in MOVES if d not in percept["blocked"]]
        move = percept["heading"]
        if move not in free or coin.random() < 0.2:
            move = free[coin.integers(len(free))]
        position = beside(position, move)
        return move

    Flat(seed).run(agent, steps)
    return met


def _drawn(text):
    """A map from a drawing whose lower left floor cell is the dock."""
    names = {".": "visited", "?": "free", "#": "wall"}
    rows = text.strip().splitlines()[::-1]
    return {(x - 1, y - 1): names[c] for y, row in enumerate(rows) for x, c in enumerate(row)}


def _distances(known, start):
    """Moves from `start` to every cell that can be reached over known floor."""
    moves, edge = {start: 0}, [start]
    while edge:
        nearest = [beside(cell, direction) for cell in edge for direction in MOVES]
        far = moves[edge[0]] + 1
        edge = []
        for cell in nearest:
            if cell not in moves and known.get(cell) in ("free", "visited"):
                moves[cell] = far
                edge.append(cell)
    return moves


def _end(start, moves):
    for move in moves:
        start = beside(start, move)
    return start


def _walk(route, known, start, goals):
    """The learner's route, which must lead over known floor to a goal, and be the shortest."""
    moves = route(known, start, goals)
    assert isinstance(moves, list) and all(move in MOVES for move in moves), (
        f"the route is {moves!r}, wanted a list of moves such as ['north', 'east']"
    )
    cell = start
    for move in moves:
        cell = beside(cell, move)
        assert known.get(cell) in ("free", "visited"), (
            f"the route from {start} leads over {cell}, of which the map says "
            f'{known.get(cell, "nothing")!r}. Only "free" and "visited" cells can be driven on, '
            "and the moves are wanted in their order from the start to the goal"
        )
    assert cell in goals, (
        f"the route from {start} ends on {cell}, which is not a goal. A route holds the moves from "
        "the start to the goal"
    )
    distances = _distances(known, start)
    best = min(distances[goal] for goal in goals if goal in distances)
    assert len(moves) == best, (
        f"the route from {start} has {len(moves)} moves, the shortest {best}. Breadth-first: take "
        "cells from the front of the queue (popleft) and append new ones at its end"
    )
    return moves


def _boundary(affordable, known, position, moves, need, why):
    for battery, wanted in ((need, True), (need - 1, False)):
        got = affordable(known, position, list(moves), battery)
        assert got is not None, "affordable returned None. Does it end with `return`?"
        assert bool(got) == wanted, (
            f"from {position} with moves {moves} and {battery} units it says {bool(got)}, wanted "
            f"{wanted}: it takes {need} ({why}). Add up: the moves there, CLEAN_COST, and the "
            "route home from where they end, over known floor"
        )


def _live(explorer, seed, battery):
    agent, here, step = explorer(), DOCK, 0

    def watched(percept):
        nonlocal here, step
        assert agent.position == here, (
            f"before step {step} the robot stands on {here}, counted from its dock, and believes "
            f"to be on {agent.position}. Only when a move is returned self.position changes, to "
            "the cell it leads to; cleaning and waiting leave it as it is"
        )
        action = agent(percept)
        if action in MOVES and action not in percept["blocked"]:
            here = beside(here, action)
        step += 1
        return action

    try:
        run = Flat(seed, battery=battery).run(watched, steps=battery)
    except ValueError as error:
        raise AssertionError(f"{error}. Does every path end with a return?") from error
    left = battery - int(run.energy[-1])
    assert len(set(run.path)) > 1, "it never left its dock. Take the first move of the route"
    assert here == DOCK, (
        f"stranded: the battery is empty, and the dock is {sum(map(abs, here))} cells away. "
        "Drive on, and clean, only where `affordable` says so; otherwise take the route home"
        if left <= 0
        else f"it stands on {here} with {left} units left and does not go home. When no free cell "
        "is affordable, take the route to (0, 0), and wait only there"
    )
    dirty = len(set(run.path) & run.dirt)
    assert dirty <= 0.05 * len(set(run.path)), (
        f"{dirty} of the cells it has been on are still dirty. Where the percept says dirt, and it "
        'is affordable, return "clean"'
    )
    return run
