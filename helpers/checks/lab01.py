"""Checks of lab 01, the greenhouse controller: probes of single percepts, then unseen weeks."""

import numpy as np

from helpers.worlds.thermostat import STEP_H, Greenhouse, History

SEEDS = (4101, 4102, 4103)  # weeks the notebook does not show
PLANTS = (12.0, 30.0)  # plants suffer outside, °C
CALM = 200  # switches a week an agent with a dead band stays under


def check_rule(rule) -> None:
    """`rule(percept)` heats in the cold, airs in the heat, and keeps the plants well for a week."""
    _must(rule, 5.0, heating=True, vent=False, where="a cold night: heat, and keep the vent shut")
    _must(rule, 20.0, heating=False, vent=False, where="neither cold nor hot: both off")
    _must(rule, 40.0, heating=False, vent=True, where="a hot noon: heater off, vent open")
    _plants_well([_week(rule, seed) for seed in SEEDS])
    print(f"ok: no plant suffered in {len(SEEDS)} weeks your notebook has not seen")


def check_steady(steady) -> None:
    """`steady(percept)` keeps the plants well, and switches at most `CALM` times a week."""
    _must(steady, 5.0, heating=True, vent=False, where="a cold night: heat, and keep the vent shut")
    _must(steady, 40.0, heating=False, vent=True, where="a hot noon: heater off, vent open")
    for name in ("heating", "vent"):
        assert _keeps(steady, name), (
            f'at no temperature does the action keep "{name}" as it is, so it has no dead band. '
            f'Between its two thresholds return percept["{name}"], not True or False'
        )
    weeks = [_week(steady, seed) for seed in SEEDS]
    _plants_well(weeks)
    worst = max(_switches(week) for week in weeks)
    assert worst <= CALM, (
        f"{worst} switches in a week, at most {CALM} wanted: the dead band is too narrow. Move the "
        "two thresholds of the heater, or of the vent, further apart (about 2 degrees)"
    )
    print(f"ok: no plant suffered in {len(SEEDS)} unseen weeks, at most {worst} switches a week")


def check_stress(stress) -> None:
    """`stress(history)` is in degree-hours below 12 °C and above 30 °C, of the true temperature."""
    assert stress(_made([20.0] * 12)) == 0, (
        "a history that stays at 20 °C has no stress, so 0 is wanted. Count nothing inside 12 to "
        "30 °C: np.maximum(0, …) cuts off what is negative"
    )
    _close(stress(_made([10.0] * 12)), 2.0, "one hour at 10 °C, which is 2 degrees too cold")
    _close(stress(_made([33.0] * 24)), 6.0, "two hours at 33 °C, which is 3 degrees too hot")
    _close(stress(_made([10.0] * 12 + [33.0] * 12)), 5.0, "an hour at 10 °C, then one at 33 °C")
    for seed in SEEDS:
        history = _week(lambda percept: {"heating": False, "vent": False}, seed)
        _close(stress(history), _stress(history), f"an unheated week (seed {seed})")
    print("ok: right on four histories made by hand and on three unseen weeks without an agent")


def check_controller(controller) -> None:
    """`controller(heat_below, vent_above, band)` returns an agent that uses all three."""
    for heat, vent, band in ((13.0, 28.0, 2.0), (8.0, 25.0, 1.0), (15.0, 27.0, 4.0)):
        agent = controller(heat, vent, band)
        call = f"controller({heat:g}, {vent:g}, {band:g})"
        assert callable(agent), (
            f"{call} is {agent!r}, not a function. Define `def agent(percept):` inside and end "
            "with `return agent`, without calling it"
        )
        named = f"the agent made by {call}"
        for t, wanted, why in (
            (heat - 0.3, True, "colder than heat_below: on"),
            (heat + band + 0.3, False, "warmer than heat_below + band: off"),
            (heat + band / 2, None, "between heat_below and heat_below + band: unchanged"),
        ):
            _zone(agent, named, "heating", t, wanted, why)
        for t, wanted, why in (
            (vent + 0.3, True, "warmer than vent_above: open"),
            (vent - band - 0.3, False, "colder than vent_above - band: shut"),
            (vent - band / 2, None, "between vent_above - band and vent_above: unchanged"),
        ):
            _zone(agent, named, "vent", t, wanted, why)
    first, second = controller(13.0, 28.0, 2.0), controller(5.0, 28.0, 2.0)
    _zone(first, "an older agent, after another was made,", "heating", 12.0, True, "it changed")
    weeks = [_week(first, seed) for seed in SEEDS]
    _plants_well(weeks)
    assert _stress(_week(second, SEEDS[0])) > 0  # a check of the world: heating matters
    print(f"ok: three settings decided rightly; {len(SEEDS)} unseen weeks without stress")


def check_tune(tune, controller) -> None:
    """`tune(settings, seeds, max_switches)` finds the cheapest setting that is good every week.

    `controller` is the learner's own, already checked.
    """
    settings = [(h, 28.0, b) for h, b in ((12, 4), (14, 2), (13, 0), (13, 2), (11, 1), (13, 4))]
    for order in (settings, settings[::-1]):
        chosen = tune(order, seeds=(4201, 4202), max_switches=CALM)
        assert chosen is not None, "tune returned None. Does it end with `return`?"
        assert chosen in settings, (
            f"tune returned {chosen!r}, which is none of the settings it was given. Return the "
            "triple (heat_below, vent_above, band), not its energy"
        )
        weeks = [_week(controller(*chosen), seed) for seed in SEEDS]
        suffered, worst = max(map(_stress, weeks)), max(map(_switches, weeks))
        assert suffered < 0.1, (
            f"tune chose {chosen}: {suffered:.1f} degree-hours of stress in an unseen week. It is "
            "cheap because the plants freeze: leave out every setting with stress, then compare"
        )
        assert worst <= CALM, (
            f"tune chose {chosen}: {worst} switches in an unseen week. Leave out every setting "
            "with more than max_switches in any week, then compare"
        )
        assert chosen == (13, 28.0, 2), (
            f"tune chose {chosen}, which is good but not the cheapest: (13, 28.0, 2) needs less "
            "energy. Compare the energy of the settings left, summed over the seeds, with min()"
        )
    easy = tune([(13, 28.0, 0), (13, 28.0, 2)], seeds=(4201,), max_switches=5000)
    assert easy == (13, 28.0, 0), (
        "with max_switches=5000 the narrowest dead band is the cheapest, and tune did not choose "
        "it. Use the argument max_switches, not a fixed number"
    )
    week = [_week(controller(*chosen), seed).performance()["energy_kwh"] for seed in SEEDS]
    print(f"ok: chose {chosen}; {np.mean(week):.0f} kWh an unseen week, no stress")


# ---- what the checks share


def _decide(agent, temperature, heating=False, vent=False):
    percept = {"temperature": round(temperature, 1), "heating": heating, "vent": vent}
    action = agent(dict(percept))
    assert isinstance(action, dict) and set(action) == {"heating", "vent"}, (
        f"for the percept {percept} the agent returned {action!r}; an action is "
        '{"heating": True or False, "vent": True or False}. Does every path end with a return?'
    )
    return action


def _must(agent, temperature, heating, vent, where):
    action = _decide(agent, temperature)
    wanted = {"heating": heating, "vent": vent}
    assert action == wanted, (
        f"at {temperature:g} °C the action is {action}, wanted {wanted} ({where}). "
        "Look at the direction of < and >, and at which threshold belongs to which actuator"
    )


def _keeps(agent, name):
    """Is there a temperature at which the action repeats what the percept says of `name`?"""
    for t in np.arange(0, 45, 0.1):
        if all(_decide(agent, t, **{name: on})[name] == on for on in (False, True)):
            return True
    return False


def _zone(agent, named, name, temperature, wanted, why):
    for now in (False, True):
        got = _decide(agent, temperature, **{name: now})[name]
        expected = now if wanted is None else wanted
        assert got == expected, (
            f'{named} sets "{name}" to {got} at {temperature:.1f} °C when it was {now}; wanted '
            f"{expected} ({why}). Use the arguments, not fixed numbers"
        )


def _week(agent, seed):
    try:
        return Greenhouse(seed).run(agent)
    except ValueError as error:
        raise AssertionError(f"{error}. Does every path end with a return?") from error


def _plants_well(weeks):
    low, high = PLANTS
    coldest = min(week.temperature.min() for week in weeks)
    hottest = max(week.temperature.max() for week in weeks)
    assert coldest > low - 0.1, (
        f"it got {coldest:.1f} °C cold in an unseen week. The agent decides only every five "
        "minutes and its sensor is noisy: start heating a degree before 12 °C"
    )
    assert hottest < high + 0.1, (
        f"it got {hottest:.1f} °C hot in an unseen week. Open the vent a degree or two before 30 °C"
    )
    for week in weeks:
        assert not (week.heating & week.vent).any(), (
            "heater on and vent open at once: that heats the street. Keep the temperatures at "
            "which the heater stops and at which the vent closes apart"
        )


def _switches(week):
    return week.performance()["switches"]


def _stress(week):
    low, high = PLANTS
    t = week.temperature
    return float(STEP_H * (np.maximum(0, low - t) + np.maximum(0, t - high)).sum())


def _made(temperature):
    """A history made by hand; what the sensor shows is 5 degrees off."""
    t = np.array(temperature)
    off = np.zeros(t.size, dtype=bool)
    return History(np.arange(t.size) * STEP_H, t, t - 5, t - 10, off, off, 9.0, PLANTS)


def _close(got, wanted, what):
    assert got is not None, "stress returned None. Does it end with `return`?"
    if abs(got - wanted) <= 0.01 * wanted:
        return
    hint = "Add the degrees below 12 °C and the degrees above 30 °C, times the hours of a step"
    if abs(got * STEP_H - wanted) <= 0.01 * wanted:
        hint = "It is 12 times too large: a step is five minutes, so multiply by STEP_H"
    elif got < 0:
        hint = "Stress is never negative: look at the order of the subtraction"
    raise AssertionError(
        f"{what}: {got:.2f}, wanted {wanted:.2f} degree-hours. {hint}. "
        "Use history.temperature: history.sensor is what the agent saw, not what the plants felt"
    )
