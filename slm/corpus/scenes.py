"""One exchange with one tool: what the user says, the call, its result, the answer.

A scene for each tool the provisional model knows; the skills combine them.
"""

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from slm.corpus import values
from slm.corpus.conversation import call, result
from slm.corpus.patterns import Patterns, fill


@dataclass
class Scene:
    tool: str
    text: str
    arguments: dict
    result: dict
    answer: str

    def turns(self) -> list[dict]:
        """The call, its result and the answer, without the user's words."""
        said = {"role": "assistant", "content": self.answer}
        return [call(self.tool, **self.arguments), self.result, said]


def shuffled(rng: random.Random, content: dict) -> dict:
    """A tool's result: the fields in any order, or now and then as plain text."""
    items = list(content.items())
    rng.shuffle(items)
    if rng.random() < 0.1:
        return result(", ".join(f"{key}: {value}" for key, value in items))
    compact = rng.random() < 0.2
    text = json.dumps(dict(items), ensure_ascii=False, separators=(",", ":") if compact else None)
    return result(text)


def cased(rng: random.Random, text: str) -> tuple[str, Callable[[str], str]]:
    """A pattern, and how its slots are spelt: people who type in lower case do it throughout."""
    if rng.random() < 0.12:
        return text.lower(), str.lower
    return text, str


def upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]


NAMED = re.compile(r".*(\b\d+|\b\w|'s \w+)$")


def fill_room(pattern: str, room: str = "", **slots) -> str:
    """Fill a pattern about a room: "the kitchen", but "office 12" and "Ada's room" without "the".

    >>> fill_room("Set the {room} to {temp}.", "office 12", temp=20)
    'Set office 12 to 20.'
    """
    text = fill(pattern, room=room, Room=upper_first(room), **slots)
    return text.replace(f"the {room}", room) if NAMED.match(room) else text


def listed(text: str) -> list[str]:
    """The entries of a text that parts them by semicolons and line ends."""
    return text.replace("\n", ";").split(";")


SKIES = listed("""sunny;cloudy;light rain;rain;snow;fog;clear;windy;thunderstorms;overcast
drizzle;sleet;partly cloudy;hail;clear sky;heavy rain;hot;light snow;mist
showers""")


def weather_result(rng: random.Random, city: str, temperature: float, sky: str) -> dict:
    content = {rng.choice(["temperature", "temperature_c", "temp"]): temperature}
    content[rng.choice(["sky", "sky", "condition", "weather"])] = sky
    if rng.random() < 0.5:
        content["city"] = city
    return shuffled(rng, content)


def weather(rng: random.Random, words: Patterns) -> Scene:
    pattern, spell = cased(rng, rng.choice(words["get_weather"]))
    city = spell(values.city(rng, words))
    temperature, sky = values.temperature(rng, -15, 38), rng.choice(SKIES)
    if rng.random() < 0.06:
        found = result({"error": rng.choice(["unknown city", "no station there", "not found"])})
        said = f"I have no weather for {city}: {json.loads(found['content'])['error']}."
    else:
        found = weather_result(rng, city, temperature, sky)
        said = fill(rng.choice(words["weather_reply"]), city=city, temp=temperature, sky=sky)
    text = values.spoken(rng, fill(pattern, city=city))
    return Scene("get_weather", text, {"city": city}, found, said)


def thermostat(rng: random.Random, words: Patterns) -> Scene:
    pattern, spell = cased(rng, rng.choice(words["set_thermostat"]))
    room, temperature = spell(values.room(rng, words)), values.temperature(rng)
    text = values.spoken(rng, fill_room(pattern, room, temp=temperature))
    found, said = thermostat_done(rng, words, room, temperature)
    return Scene("set_thermostat", text, {"room": room, "temperature": temperature}, found, said)


def thermostat_done(rng: random.Random, words: Patterns, room: str, temperature) -> tuple:
    """The tool's result and the answer to it."""
    dice = rng.random()
    if dice < 0.08:
        found = result({"error": rng.choice(["unknown room", "no such room", "not connected"])})
        error = json.loads(found["content"])["error"]
        return found, fill_room("I could not set the {room}: {error}.", room, error=error)
    if dice < 0.35:
        found = result(rng.choice(["ok", "done", '{"ok": true}', '{"status": "ok"}']))
    else:
        found = shuffled(rng, {"room": room, rng.choice(["temperature", "set_to"]): temperature})
    return found, fill_room(rng.choice(words["thermostat_reply"]), room, temp=temperature)


LATE = ["delayed", "late", "delayed in customs", "delayed at the depot", "overdue", "lost"]
ON_TIME = listed("""shipped;delivered;packed;on its way;ready for pickup;in transit;processing
on time;out for delivery;waiting for payment;returned;cancelled
in the warehouse""")


def order_result(rng: random.Random, order_id: str, status: str) -> tuple[dict, str | None]:
    """The tool's result, and the day of arrival in it if there is one."""
    content = {"status": status}
    if rng.random() < 0.6:
        content["order_id"] = order_id
    eta = values.date(rng) if rng.random() < 0.5 else None
    if eta:
        content["eta"] = eta
    return shuffled(rng, content), eta


def order_said(rng: random.Random, words: Patterns, order_id: str, status: str, eta) -> str:
    replies = [line for line in words["order_reply"] if ("{eta}" in line) == bool(eta)]
    return fill(rng.choice(replies), order_id=order_id, status=status, eta=eta)


def order(rng: random.Random, words: Patterns) -> Scene:
    pattern, spell = cased(rng, rng.choice(words["lookup_order_status"]))
    order_id, status = spell(values.order_id(rng)), rng.choice(ON_TIME + LATE)
    if rng.random() < 0.08:
        error = rng.choice(["unknown order", "no such order", "not found"])
        found, said = result({"error": error}), f"I found no order {order_id}."
    else:
        found, eta = order_result(rng, order_id, status)
        said = order_said(rng, words, order_id, status, eta)
    text = values.spoken(rng, fill(pattern, order_id=order_id))
    return Scene("lookup_order_status", text, {"order_id": order_id}, found, said)


def ticket_id(rng: random.Random) -> str:
    prefix = rng.choice(["T-", "TICKET-", "#", "SUP-", "INC"])
    return prefix + values.digits(rng, rng.randint(2, 5))


def ticket_opened(rng: random.Random, words: Patterns, issue: str, priority: str) -> tuple:
    """The tool's result and the answer to it."""
    number = ticket_id(rng)
    content = {rng.choice(["ticket_id", "ticket", "id"]): number}
    if rng.random() < 0.4:
        content["status"] = "open"
    said = fill(rng.choice(words["ticket_reply"]), ticket_id=number, issue=issue, priority=priority)
    return shuffled(rng, content), said


def ticket(rng: random.Random, words: Patterns) -> Scene:
    pattern, spell = cased(rng, rng.choice(words["create_support_ticket"]))
    issue, priority = spell(values.issue(rng, words)), values.priority(rng)
    slots = {"issue": issue, "Issue": upper_first(issue), "priority": priority}
    text = values.spoken(rng, fill(pattern, **slots))
    found, said = ticket_opened(rng, words, issue, priority)
    arguments = {"issue": issue, "priority": priority}
    return Scene("create_support_ticket", text, arguments, found, said)


SCENES = [weather, thermostat, order, ticket]
