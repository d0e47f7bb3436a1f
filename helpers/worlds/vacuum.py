"""A flat to vacuum: rooms, doors, furniture, and dirt that a robot meets only cell by cell.

The floor is a grid of cells of 30 cm, about a robot's width. Every step the agent sees a percept
and returns an action: one of four directions, "clean" or "wait". A percept says what touches the
robot, and nothing from afar:

    dirt     is there dirt under the robot?
    blocked  the directions whose next cell is a wall or a piece of furniture
    heading  the direction of its last move, "north" at first
    docked   does it stand on its dock, where it starts?
    battery  the charge left; a move takes 1 unit, cleaning a cell 2, waiting nothing

An agent is a function, or an object that can be called like one:

>>> agent = lambda percept: "clean" if percept["dirt"] else "north"
>>> agent({"dirt": True, "blocked": ("west",), "heading": "north", "docked": False, "battery": 9})
'clean'
>>> run = Flat(seed=1).run(agent, steps=50)
>>> sorted(run.performance())
['at_dock', 'covered_%', 'dirty_cells', 'energy']

The plan, the dirt and where wheels slip depend on the seed alone, so two agents can be compared in
the very same flat. Cells are pairs (x, y); x grows to the east, y to the north.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

CELL_M = 0.3  # side of a cell, in metres
MOVES = {"north": (0, 1), "east": (1, 0), "south": (0, -1), "west": (-1, 0)}
MOVE_COST, CLEAN_COST = 1, 2  # units of charge

Cell = tuple[int, int]
Agent = Callable[[dict], str]


def beside(cell: Cell, direction: str) -> Cell:
    """The cell next to `cell`.

    >>> beside((3, 5), "north")
    (3, 6)
    """
    dx, dy = MOVES[direction]
    return cell[0] + dx, cell[1] + dy


@dataclass(frozen=True)
class Plan:
    """What stays as it is in a flat."""

    size: tuple[int, int]  # width and height in cells, outer walls included
    floor: frozenset[Cell]  # where a robot can be; all of it can be reached from the dock
    furniture: tuple[frozenset[Cell], ...]  # the cells each piece stands on; of a table, its legs
    rooms: dict[str, Cell]  # a room's name: the middle of it
    dock: Cell
    messy: dict[Cell, float]  # how likely dirt is, relative to other cells: crumbs lie in patches


@dataclass(frozen=True)
class Run:
    """What happened. Arrays have one entry for the start and one for each step after it."""

    flat: "Flat"
    path: list[Cell]  # where the robot really was
    energy: np.ndarray  # charge used so far
    covered: np.ndarray  # cells visited so far, as a share of the floor, 0 to 1
    dirty: np.ndarray  # number of dirty cells
    dirt: frozenset[Cell]  # the cells that are dirty at the end

    def performance(self) -> dict:
        """How well it went.

        covered_%    share of the floor's cells the robot has been on
        dirty_cells  how many cells are dirty at the end
        energy       the charge it used, in units
        at_dock      does it stand on its dock at the end?
        """
        return {
            "covered_%": round(100 * float(self.covered[-1]), 1),
            "dirty_cells": int(self.dirty[-1]),
            "energy": int(self.energy[-1]),
            "at_dock": self.path[-1] == self.flat.plan.dock,
        }


@dataclass(frozen=True)
class Flat:
    """A furnished flat of five rooms and a corridor, another one for every seed."""

    seed: int
    battery: int = 10_000  # charge at the start, units; the default outlasts any run of the lesson
    dirty: float = 0.25  # share of the floor that is dirty at the start
    crumbs: float = 0.0  # chance that a cell gets dirty in a step
    slip: float = 0.0  # chance that the wheels slip: a move leaves the robot where it is

    @cached_property
    def plan(self) -> Plan:
        return _plan(self.seed)

    def run(self, agent: Agent, steps: int = 1000) -> Run:
        """Let `agent` live here for `steps`. With an empty battery the robot stays where it is.

        A robot that drives against something stays where it is, and the move costs its energy.
        ValueError when an action is not one of those above.
        """
        plan = self.plan
        blocked = _blocked(self.seed)
        dirt, falling, slips = self._chances(steps)
        robot, heading, battery = plan.dock, "north", self.battery
        visited = {robot}
        path, charge, covered, dirty = [robot], [battery], [1], [len(dirt)]
        for step in range(steps):
            if battery > 0:
                percept = {
                    "dirt": robot in dirt,
                    "blocked": blocked[robot],
                    "heading": heading,
                    "docked": robot == plan.dock,
                    "battery": battery,
                }
                action = agent(percept)
                if action in MOVES:
                    heading, battery = action, battery - MOVE_COST
                    if action not in blocked[robot] and not slips[step]:
                        robot = beside(robot, action)
                        visited.add(robot)
                elif action == "clean":
                    battery = max(0, battery - CLEAN_COST)
                    dirt.discard(robot)
                elif action != "wait":
                    wanted = ", ".join(f'"{name}"' for name in (*MOVES, "clean", "wait"))
                    raise ValueError(f"the agent returned {action!r}; an action is one of {wanted}")
            if step in falling:
                dirt.add(falling[step])
            path.append(robot)
            charge.append(battery)
            covered.append(len(visited))
            dirty.append(len(dirt))
        return Run(
            self,
            path,
            self.battery - np.array(charge),
            np.array(covered) / len(plan.floor),
            np.array(dirty),
            frozenset(dirt),
        )

    def _chances(self, steps: int) -> tuple[set[Cell], dict[int, Cell], list[bool]]:
        """Dirt at the start, the cells that get dirty later by step, and the steps with a slip."""
        first, later, wheels = (np.random.default_rng([self.seed, k]) for k in range(1, 4))
        cells = sorted(self.plan.messy)
        weights = np.array([self.plan.messy[cell] for cell in cells])
        weights /= weights.sum()
        chosen = first.choice(len(cells), round(self.dirty * len(cells)), replace=False, p=weights)
        falls = np.flatnonzero(later.random(steps) < self.crumbs).tolist()
        where = later.choice(len(cells), len(falls), p=weights).tolist()
        falling = {step: cells[i] for step, i in zip(falls, where, strict=True)}
        return {cells[i] for i in chosen}, falling, (wheels.random(steps) < self.slip).tolist()


# ---- how a flat is built

DOOR = 3  # cells: 90 cm
# A piece is (cells along the wall, cells into the room).
FURNITURE = {
    "living room": [(7, 3), (6, 1), (4, 1), (2, 2)],  # sofa, shelf, television, armchair
    "bedroom": [(6, 7), (6, 2)],  # double bed, wardrobe
    "study": [(3, 7), (4, 1), (2, 2)],  # bed, shelf, armchair
    "kitchen": [(7, 2), (2, 2), (3, 1)],  # counter, fridge, shelf
    "bathroom": [(5, 2), (2, 2), (2, 1)],  # bath, washbasin, toilet
}
TABLES = {"living room": (6, 4), "kitchen": (4, 3), "study": (4, 2)}  # a robot fits between legs


@cache
def _plan(seed: int) -> Plan:
    rng = np.random.default_rng([seed, 0])
    size, rooms, doors = _walls(rng)
    floor = set().union(*rooms.values(), *doors)
    # A piece of furniture leaves two cells free before each door.
    doorways = {(x + i, y + j) for door in doors for x, y in door for i, j in _around(2)}
    furniture = []
    for name in FURNITURE:
        wanted = [(piece, _beside_walls) for piece in FURNITURE[name]]
        wanted += [(TABLES[name], _legs)] if name in TABLES else []
        for piece, places in wanted:
            options = [cells for cells in places(rooms[name], piece) if cells <= floor - doorways]
            for i in rng.permutation(len(options)).tolist():
                cells = options[i]
                if _connected(floor - cells):
                    floor -= cells
                    furniture.append(frozenset(cells))
                    break
    inside = floor.union(*furniture)
    along = {cell for cell in floor if any(beside(cell, d) not in inside for d in MOVES)}
    docks = sorted((rooms["corridor"] | rooms["living room"]) & along - doorways)
    dock = docks[rng.integers(len(docks))]
    cells = sorted(floor)
    patches = [cells[i] for i in rng.integers(len(cells), size=10)]
    messy = {
        c: 0.12 + max(math.exp(-(math.dist(c, patch) ** 2) / 4) for patch in patches) for c in cells
    }
    middles = {name: _middle(room) for name, room in rooms.items()}
    return Plan(size, frozenset(floor), tuple(furniture), middles, dock, messy)


def _walls(rng: np.random.Generator):
    """Size, the cells of every room, and the cells of every door.

    A living room over the whole depth; beside it a corridor with two rooms on either side.
    """
    wide, rest = rng.integers(10, 13), rng.integers(18, 21)  # cells, without walls
    low, high = rng.integers(8, 10), rng.integers(8, 11)
    passage = 4
    width, height = int(wide + rest + 3), int(low + passage + high + 4)
    x0, top = 1 + wide + 1, 1 + low + 1 + passage + 1
    bath, half = rng.integers(6, 8), rng.integers(8, 11)
    rooms = {
        "living room": _box(1, 1, wide, height - 2),
        "corridor": _box(x0, low + 2, rest, passage),
        "bathroom": _box(x0, 1, bath, low),
        "bedroom": _box(x0 + bath + 1, 1, rest - bath - 1, low),
        "kitchen": _box(x0, top, half, high),
        "study": _box(x0 + half + 1, top, rest - half - 1, high),
    }
    doors = [_box(wide + 1, low + 2 + rng.integers(2), 1, DOOR)]
    for name, y in {
        "bathroom": low + 1,
        "bedroom": low + 1,
        "kitchen": top - 1,
        "study": top - 1,
    }.items():
        xs = sorted({x for x, _ in rooms[name]})
        doors.append(_box(rng.integers(xs[1], xs[-1] - DOOR), y, DOOR, 1))
    if rng.random() < 0.5:  # the kitchen opens to the living room as well
        doors.append(_box(wide + 1, top + 2, 1, DOOR))
    flips = rng.random(2) < 0.5

    def flip(cells: Iterable[Cell]) -> set[Cell]:
        return {
            (width - 1 - x if flips[0] else x, height - 1 - y if flips[1] else y) for x, y in cells
        }

    return (width, height), {n: flip(c) for n, c in rooms.items()}, [flip(d) for d in doors]


def _box(x: int, y: int, width: int, height: int) -> set[Cell]:
    return {(int(x) + i, int(y) + j) for i in range(width) for j in range(height)}


def _around(reach: int) -> list[Cell]:
    steps = range(-reach, reach + 1)
    return [(i, j) for i in steps for j in steps if abs(i) + abs(j) <= reach]


def _corners(room: set[Cell]) -> tuple[int, int, int, int]:
    xs, ys = zip(*room, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _middle(room: set[Cell]) -> Cell:
    left, bottom, right, top = _corners(room)
    return (left + right) // 2, (bottom + top) // 2


def _beside_walls(room: set[Cell], piece: tuple[int, int]) -> list[set[Cell]]:
    """Every place along the room's four walls."""
    left, bottom, right, top = _corners(room)
    along, deep = piece
    places = []
    for x in range(left, right - along + 2):
        places += [_box(x, bottom, along, deep), _box(x, top - deep + 1, along, deep)]
    for y in range(bottom, top - along + 2):
        places += [_box(left, y, deep, along), _box(right - deep + 1, y, deep, along)]
    return places


def _legs(room: set[Cell], table: tuple[int, int]) -> list[set[Cell]]:
    """Every place of a table that leaves two cells to the walls: its four legs."""
    left, bottom, right, top = _corners(room)
    places = []
    for w, h in (table, table[::-1]):
        for x in range(left + 2, right - w):
            for y in range(bottom + 2, top - h):
                places.append({(x, y), (x + w - 1, y), (x, y + h - 1), (x + w - 1, y + h - 1)})
    return places


def _connected(floor: set[Cell]) -> bool:
    start = next(iter(floor))
    seen, edge = {start}, [start]
    while edge:
        cell = edge.pop()
        for direction in MOVES:
            near = beside(cell, direction)
            if near in floor and near not in seen:
                seen.add(near)
                edge.append(near)
    return len(seen) == len(floor)


@cache
def _blocked(seed: int) -> dict[Cell, tuple[str, ...]]:
    floor = _plan(seed).floor
    return {cell: tuple(d for d in MOVES if beside(cell, d) not in floor) for cell in floor}
