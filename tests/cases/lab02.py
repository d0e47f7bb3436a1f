"""Typical wrong answers to lab 02. Of a case, the last entry is a word of the message to expect;
the others are the arguments of the check, the learner's answer first."""

from collections import deque

from helpers.worlds.vacuum import CLEAN_COST, MOVES, beside

DOCK = (0, 0)


def look(known, position, percept):
    known[position] = "visited"
    for direction in MOVES:
        cell = beside(position, direction)
        if known.get(cell) != "visited":
            known[cell] = "wall" if direction in percept["blocked"] else "free"


def route(known, start, goals, passable=("free", "visited"), take=deque.popleft):
    came, queue = {start: []}, deque([start])
    while queue:
        cell = take(queue)
        if cell in goals:
            return came[cell]
        for direction in MOVES:
            near = beside(cell, direction)
            if near not in came and known.get(near) in passable:
                came[near] = [*came[cell], direction]
                queue.append(near)
    return None


def end(position, moves):
    for move in moves:
        position = beside(position, move)
    return position


def affordable(known, position, moves, battery):
    home = route(known, end(position, moves), {DOCK})
    return battery >= len(moves) + CLEAN_COST + len(home)


def forgets_the_visited(known, position, percept):
    known[position] = "visited"
    for direction in MOVES:
        known[beside(position, direction)] = "wall" if direction in percept["blocked"] else "free"


def walls_only(known, position, percept):
    known[position] = "visited"
    for direction in percept["blocked"]:
        known[beside(position, direction)] = "wall"


def makes_a_new_map(known, position, percept):
    known = dict(known)
    look(known, position, percept)
    return known


def not_itself(known, position, percept):
    before = known.get(position)
    look(known, position, percept)
    known[position] = before


def always_from_the_dock(known, position, percept):
    look(known, DOCK, percept)


def depth_first(known, start, goals):
    return route(known, start, goals, take=deque.pop)


def through_walls(known, start, goals):
    return route(known, start, goals, passable=("free", "visited", "wall"))


def over_the_unknown(known, start, goals):
    return route(known, start, goals, passable=("free", "visited", None))


def cells_instead_of_moves(known, start, goals):
    moves = route(known, start, goals)
    return moves and [end(start, moves[: i + 1]) for i in range(len(moves))]


def from_goal_to_start(known, start, goals):
    moves = route(known, start, goals)
    return moves and moves[::-1]


def as_the_crow_flies(known, start, goals):
    if not goals:
        return None
    return route(
        known, start, {min(goals, key=lambda g: abs(g[0] - start[0]) + abs(g[1] - start[1]))}
    )


def empty_when_there_is_none(known, start, goals):
    return route(known, start, goals) or []


def manhattan(known, position, moves, battery):
    x, y = end(position, moves)
    return battery >= len(moves) + CLEAN_COST + abs(x) + abs(y)


def forgets_to_clean(known, position, moves, battery):
    return battery >= len(moves) + len(route(known, end(position, moves), {DOCK}))


def home_from_here(known, position, moves, battery):
    return battery >= len(moves) + CLEAN_COST + len(route(known, position, {DOCK}))


def more_than_enough(known, position, moves, battery):
    return affordable(known, position, moves, battery - 1)


def a_fixed_reserve(known, position, moves, battery):
    return battery > 100


class Explorer:
    """Right; what is wrong is in the classes below."""

    def __init__(self):
        self.known, self.position = {}, DOCK

    def ok(self, moves, battery):
        return affordable(self.known, self.position, moves, battery)

    def may_clean(self, battery):
        return affordable(self.known, self.position, [], battery)

    def free(self):
        return {cell for cell, what in self.known.items() if what == "free"}

    def step(self, move):
        self.position = beside(self.position, move)

    def __call__(self, percept):
        look(self.known, self.position, percept)
        if percept["dirt"] and self.may_clean(percept["battery"]):
            return "clean"
        moves = route(self.known, self.position, self.free())
        if moves is None or not self.ok(moves, percept["battery"]):
            moves = route(self.known, self.position, {DOCK})
        if not moves:
            return "wait"
        self.step(moves[0])
        return moves[0]


class NeverReturns(Explorer):
    def ok(self, moves, battery):
        return True


class HalfTheBattery(Explorer):
    def ok(self, moves, battery):
        return battery > 300


class CleansAtAnyPrice(Explorer):
    def may_clean(self, battery):
        return True


class NeverCleans(Explorer):
    def may_clean(self, battery):
        return False


class LosesItsPosition(Explorer):
    def __call__(self, percept):
        if percept["dirt"]:
            self.step("north")
        return super().__call__(percept)


class WaitsOutThere(Explorer):
    def __call__(self, percept):
        return super().__call__(percept) if percept["battery"] > 60 else "wait"


class ForgetsToReturn(Explorer):
    def __call__(self, percept):
        super().__call__(percept)


class TakesAnyFreeCell(Explorer):
    def free(self):
        return {min(super().free(), default=(0, 0))}


WRONG = {
    "check_look": [
        (forgets_the_visited, 'Leave what is "visited"'),
        (walls_only, "Every one of the four"),
        (makes_a_new_map, "instead of making a new one"),
        (not_itself, "the robot stands there"),
        (always_from_the_dock, "Count from `position`"),
    ],
    "check_route": [
        (depth_first, "popleft"),
        (through_walls, 'Only "free" and "visited"'),
        (over_the_unknown, "the map says 'nothing'"),
        (cells_instead_of_moves, "a list of moves"),
        (from_goal_to_start, "in their order"),
        (as_the_crow_flies, "as the crow flies"),
        (empty_when_there_is_none, "wanted None"),
    ],
    "check_affordable": [
        (manhattan, "home by the door"),
        (forgets_to_clean, "CLEAN_COST"),
        (home_from_here, "where they end"),
        (more_than_enough, "wanted True"),
        (a_fixed_reserve, "Add up"),
    ],
    "check_explorer": [
        (NeverReturns, "stranded"),
        (CleansAtAnyPrice, "clean, only where"),
        (HalfTheBattery, "units were left"),
        (NeverCleans, "still dirty"),
        (LosesItsPosition, "self.position changes"),
        (WaitsOutThere, "does not go home"),
        (ForgetsToReturn, "end with a return"),
        (TakesAnyFreeCell, "nearest free cell"),
    ],
}
