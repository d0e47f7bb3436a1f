"""The flats: seeded, whole, and honest about energy, slips and empty batteries."""

import pytest

from helpers.worlds.vacuum import MOVES, Flat, beside


def north(percept):
    return "north"


def test_a_flat_is_seeded_and_all_of_its_floor_can_be_reached():
    plan = Flat(5).plan
    assert plan == Flat(5).plan != Flat(6).plan
    assert Flat(5).run(north, 50).path == Flat(5).run(north, 50).path
    reached, edge = {plan.dock}, [plan.dock]
    while edge:
        cell = edge.pop()
        for near in {beside(cell, direction) for direction in MOVES} & plan.floor - reached:
            reached.add(near)
            edge.append(near)
    assert reached == plan.floor
    assert not plan.floor & frozenset().union(*plan.furniture)


def test_driving_against_a_wall_costs_and_an_empty_battery_stops():
    run = Flat(5, battery=100).run(north, 200)
    assert run.energy[-1] == 100
    assert "north" in {d for d in MOVES if beside(run.path[-1], d) not in run.flat.plan.floor}
    assert not run.performance()["at_dock"]


def test_cleaning_costs_two_and_waiting_nothing():
    def agent(percept):
        return "clean" if percept["battery"] > 5 else "wait"

    assert Flat(5, battery=11).run(agent, 20).performance()["energy"] == 6


def test_wheels_that_slip_and_crumbs_that_fall():
    assert len(set(Flat(5, slip=1.0).run(north, 20).path)) == 1
    run = Flat(5, crumbs=1.0).run(lambda percept: "wait", 50)
    assert run.dirty[-1] > run.dirty[0]


def test_an_action_that_is_none_is_named():
    with pytest.raises(ValueError, match="the agent returned None"):
        Flat(5).run(lambda percept: None)
