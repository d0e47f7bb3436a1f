"""Two rooms to keep warm: a house with a heater, a greenhouse with a heater and a vent.

Both are one box of air with one temperature. Every five minutes the agent sees a percept and
returns an action; then the box gains heat from heater and sun and loses it to the outside:

    capacity * dT/dt = heater + sun - (loss + vent + window) * (T - outside)      [kW]

An agent is a function. A percept says what the sensors show, an action sets every actuator:

>>> agent = lambda percept: {"heating": percept["temperature"] < 21.0}
>>> agent({"temperature": 20.4, "heating": False})
{'heating': True}
>>> history = House(seed=1).run(agent, days=2)
>>> sorted(history.performance())
['comfort_%', 'energy_kwh', 'switches']

Weather and sensor noise depend on the seed alone, so two agents can be compared on the same week.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

STEP_H = 5 / 60  # one step: five minutes, in hours

Agent = Callable[[dict], dict]


@dataclass(frozen=True)
class History:
    """What happened, one entry a step: decided at `time_h[i]`, in force until the next step."""

    time_h: np.ndarray  # hours since midnight of the first day
    temperature: np.ndarray  # inside, true, °C
    sensor: np.ndarray  # inside, as the agent saw it, °C
    outside: np.ndarray  # °C
    heating: np.ndarray  # bool: the heater is on
    vent: np.ndarray  # bool: the vent is open (always False in the house)
    heater_kw: float  # power of the heater when on, kW
    comfort_c: tuple[float, float]  # lowest and highest temperature that count as good, °C

    def performance(self, hours: tuple[float, float] = (0, 24)) -> dict:
        """How well it went.

        comfort_%   share of the steps with a true temperature inside `comfort_c`, counting only
                    the steps whose time of day is in `hours` (from, until)
        energy_kwh  what the heater used, in kWh, over all steps
        switches    how often heater or vent changed state, over all steps
        """
        low, high = self.comfort_c
        good = (self.temperature >= low) & (self.temperature <= high)
        counted = (self.time_h % 24 >= hours[0]) & (self.time_h % 24 < hours[1])
        switches = sum(np.count_nonzero(np.diff(on)) for on in (self.heating, self.vent))
        return {
            "comfort_%": round(100 * float(good[counted].mean()), 1),
            "energy_kwh": round(self.heater_kw * STEP_H * int(self.heating.sum()), 1),
            "switches": int(switches),
        }

    def between(self, start_h: float, stop_h: float) -> "History":
        """The part with start_h <= time_h < stop_h."""
        part = (self.time_h >= start_h) & (self.time_h < stop_h)
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v[part] for k, v in arrays.items() if isinstance(v, np.ndarray)})


@dataclass(frozen=True)
class World:
    """The physics both rooms share. Every constant can be changed: `House(seed=1, start_c=15)`."""

    seed: int
    start_c: float = 21.0  # inside temperature at the start, °C
    comfort_c: tuple[float, float] = (20.0, 22.0)  # °C
    heater_kw: float = 4.5  # kW when on
    capacity: float = 1.5  # heat that warms the room by one degree, kWh/K
    loss: float = 0.14  # through walls, kW/K
    vent_loss: float = 0.0  # added while the vent is open, kW/K
    window_loss: float = 0.4  # added while a window is open, kW/K
    window_h: tuple[float, float] = (0.0, 0.0)  # a window stands open from, until; time_h
    sun_kw: float = 0.0  # at noon under a clear sky, kW
    mean_c: float = 5.0  # outside temperature: mean, °C
    swing_c: float = 4.0  # … day against mean, K
    weather_c: float = 4.0  # … spread from one day to the next, K
    noise_c: float = 0.05  # spread of the sensor, K; it shows tenths of a degree
    clock: bool = False  # does a percept also hold "hour", the time of day (0 <= hour < 24)?

    actuators = ("heating",)  # not a field: what an action sets

    def run(self, agent: Agent, days: int = 7) -> History:
        """Let `agent` live here for `days`. ValueError when an action is not of the right form."""
        time_h = np.arange(round(days * 24 / STEP_H)) * STEP_H
        outside, sun, noise = (x.tolist() for x in self._weather(time_h, days))
        opened = ((time_h >= self.window_h[0]) & (time_h < self.window_h[1])).tolist()
        temperature, state, log = self.start_c, dict.fromkeys(self.actuators, False), []
        for i, hour in enumerate((time_h % 24).tolist()):
            seen = round(temperature + noise[i], 1)
            percept = {"temperature": seen, **state}
            if self.clock:
                percept["hour"] = hour
            state = self._checked(agent(percept))
            heating, vent = state["heating"], state.get("vent", False)
            log.append((temperature, seen, heating, vent))
            path = self.loss + self.vent_loss * vent + self.window_loss * opened[i]
            power = self.heater_kw * heating + sun[i] - path * (temperature - outside[i])
            temperature += STEP_H * power / self.capacity
        inside, sensor, heating, vent = (np.array(column) for column in zip(*log, strict=True))
        return History(
            time_h, inside, sensor, np.array(outside), heating, vent, self.heater_kw, self.comfort_c
        )

    def _weather(self, time_h: np.ndarray, days: int) -> tuple[np.ndarray, ...]:
        """Outside temperature (°C), sun (kW), sensor noise (K): daily curves, seeded changes."""
        air, sky, sensor = (np.random.default_rng([self.seed, k]) for k in range(3))
        midnights = 24 * np.arange(int(days) + 2)
        drift = np.interp(time_h, midnights, air.normal(0, self.weather_c, midnights.size))
        outside = self.mean_c + self.swing_c * np.cos(2 * np.pi * (time_h - 15) / 24) + drift
        clear = sky.uniform(0.2, 1.0, midnights.size)[(time_h // 24).astype(int)]
        sun = self.sun_kw * clear * np.maximum(0, np.sin(np.pi * (time_h % 24 - 6) / 12))
        return outside, sun, sensor.normal(0, self.noise_c, time_h.size)

    def _checked(self, action: dict) -> dict:
        if not isinstance(action, dict) or set(action) != set(self.actuators):
            wanted = ", ".join(f'"{name}": True or False' for name in self.actuators)
            raise ValueError(f"the agent returned {action!r}; an action here is {{{wanted}}}")
        return {name: bool(action[name]) for name in self.actuators}


class House(World):
    """A room in winter. Percept: temperature, heating. Action: heating. Good: 20 to 22 °C."""


@dataclass(frozen=True)
class Greenhouse(World):
    """Glass in spring: warm by day, cold by night. Plants suffer below 12 °C and above 30 °C.

    Percept: temperature, heating, vent. Action: heating, vent.
    """

    start_c: float = 16.0
    comfort_c: tuple[float, float] = (12.0, 30.0)
    heater_kw: float = 9.0
    capacity: float = 1.2
    loss: float = 0.35
    vent_loss: float = 1.1
    sun_kw: float = 14.0
    mean_c: float = 7.0
    swing_c: float = 6.0

    actuators = ("heating", "vent")
