"""Typical wrong answers to lab 01. Of a case, the last entry is a word of the message to expect;
the others are the arguments of the check, the learner's answer first."""

import numpy as np

from helpers.worlds.thermostat import STEP_H, Greenhouse


def act(heating, vent):
    return {"heating": bool(heating), "vent": bool(vent)}


def controller(heat_below, vent_above, band):
    def agent(percept):
        t, heating, vent = percept["temperature"], percept["heating"], percept["vent"]
        return act(
            t < heat_below or (heating and t <= heat_below + band),
            t > vent_above or (vent and t >= vent_above - band),
        )

    return agent


def no_return(percept):
    act(percept["temperature"] < 13, percept["temperature"] > 28)


def at_the_limit(percept):
    return act(percept["temperature"] < 12, percept["temperature"] > 28)


def reversed_signs(percept):
    return act(percept["temperature"] > 13, percept["temperature"] < 28)


def one_actuator(percept):
    return {"heating": percept["temperature"] < 13}


def off_between(percept):
    t = percept["temperature"]
    return act(t < 13, t > 28)


def narrow_band(percept):
    return controller(13, 28, 0.3)(percept)


def heater_only(percept):
    return act(controller(13, 28, 2)(percept)["heating"], percept["temperature"] > 28)


def stress_in_steps(history):
    t = history.temperature
    return (np.maximum(0, 12 - t) + np.maximum(0, t - 30)).sum()


def stress_cold_only(history):
    return STEP_H * np.maximum(0, 12 - history.temperature).sum()


def stress_of_sensor(history):
    t = history.sensor
    return STEP_H * (np.maximum(0, 12 - t) + np.maximum(0, t - 30)).sum()


def stress_in_hours(history):
    t = history.temperature
    return STEP_H * np.count_nonzero((t < 12) | (t > 30))


def stress_not_cut(history):
    t = history.temperature
    return STEP_H * ((12 - t) + (t - 30)).sum()


def fixed_numbers(heat_below, vent_above, band):
    return controller(13, 28, 2)


def no_band(heat_below, vent_above, band):
    return lambda p: act(p["temperature"] < heat_below, p["temperature"] > vent_above)


def calls_the_agent(heat_below, vent_above, band):
    return act(True, False)


def vent_band_above(heat_below, vent_above, band):
    return controller(heat_below, vent_above + band, band)


def _weeks(setting, seeds):
    return [Greenhouse(seed).run(controller(*setting)) for seed in seeds]


def _energy(setting, seeds):
    return sum(week.performance()["energy_kwh"] for week in _weeks(setting, seeds))


def _calm(setting, seeds, most):
    return all(week.performance()["switches"] <= most for week in _weeks(setting, seeds))


def _well(setting, seeds):
    return all(week.performance()["comfort_%"] >= 100 for week in _weeks(setting, seeds))


def tune_energy_only(settings, seeds, max_switches):
    return min(settings, key=lambda s: _energy(s, seeds))


def tune_ignores_switches(settings, seeds, max_switches):
    return min((s for s in settings if _well(s, seeds)), key=lambda s: _energy(s, seeds))


def tune_first_good(settings, seeds, max_switches):
    return next(s for s in settings if _well(s, seeds) and _calm(s, seeds, max_switches))


def tune_energy_itself(settings, seeds, max_switches):
    return min(_energy(s, seeds) for s in settings)


def tune_fixed_limit(settings, seeds, max_switches):
    good = [s for s in settings if _well(s, seeds) and _calm(s, seeds, 200)]
    return min(good, key=lambda s: _energy(s, seeds))


WRONG = {
    "check_rule": [
        (no_return, "return"),
        (at_the_limit, "before 12 °C"),
        (reversed_signs, "< and >"),
        (one_actuator, "vent"),
    ],
    "check_steady": [
        (off_between, 'percept["heating"]'),
        (narrow_band, "too narrow"),
        (heater_only, 'percept["vent"]'),
    ],
    "check_stress": [
        (stress_in_steps, "STEP_H"),
        (stress_cold_only, "33 °C"),
        (stress_of_sensor, "history.sensor"),
        (stress_in_hours, "2 degrees"),
        (stress_not_cut, "np.maximum"),
    ],
    "check_controller": [
        (fixed_numbers, "Use the arguments"),
        (no_band, "unchanged"),
        (calls_the_agent, "return agent"),
        (vent_band_above, "vent_above"),
    ],
    "check_tune": [
        (tune_energy_only, controller, "freeze"),
        (tune_ignores_switches, controller, "max_switches"),
        (tune_first_good, controller, "cheapest"),
        (tune_energy_itself, controller, "none of the settings"),
        (tune_fixed_limit, controller, "max_switches=5000"),
    ],
}
