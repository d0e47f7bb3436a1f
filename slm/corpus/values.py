"""Values for slots, from large open sets, so that a model learns to copy and not to recite.

Each function takes the random generator (and the split's patterns where it reads a list).
"""

import random
import string

from slm.corpus.catalogue import TOOLS
from slm.corpus.patterns import Patterns

ONSETS = "b br c ch d dr f fl g gr h j k kl l m n p pr r s sh sk st t tr v w z".split()
VOWELS = "a e i o u aa ai au ea ee ie oo ou é ö ü á".split()
CODAS = ["", "", "", "n", "r", "l", "s", "m", "nd", "rg", "ck", "th", "t", "x"]


def name(rng: random.Random) -> str:
    """A capitalised name that no list holds: 'Drauberg', 'Skeenal'."""
    syllables = rng.choice([2, 2, 3])
    parts = (rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(syllables))
    return "".join(parts).capitalize()


def city(rng: random.Random, words: Patterns) -> str:
    if rng.random() < 0.7:
        return rng.choice(words["cities"])
    prefix = rng.choice(["", "", "", "New ", "San ", "Port ", "Bad ", "St. ", "Upper "])
    return prefix + name(rng)


def room(rng: random.Random, words: Patterns) -> str:
    dice = rng.random()
    if dice < 0.7:
        return rng.choice(words["rooms"])
    if dice < 0.85:
        kind = rng.choice(["office", "room", "lab", "hall", "studio", "ward", "apartment", "zone"])
        return f"{kind} {rng.choice([rng.randint(1, 420), rng.choice(string.ascii_uppercase)])}"
    kind = rng.choice(["room", "office", "bedroom", "suite"])
    return f"{rng.choice([rng.choice(words['first_names']), name(rng)])}'s {kind}"


def temperature(rng: random.Random, low: float = 5, high: float = 30) -> float | int:
    """°C; whole in two of three."""
    whole = rng.randint(int(low), int(high))
    if rng.random() < 0.67:
        return whole
    return round(whole + rng.choice([0.5, 0.5, 0.5, 0.1, 0.3, 0.8]), 1)


def digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(string.digits, k=count))


def letters(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(string.ascii_uppercase, k=count))


def order_id(rng: random.Random) -> str:
    """An id of one of many shapes: 'A-1042', 'ORD-77213', '558231', '2026/118', 'kx-20-81'."""
    shape = rng.randrange(8)
    if shape < 2:
        return f"{letters(rng, 1)}-{digits(rng, rng.randint(2, 5))}"
    if shape == 2:
        prefix = rng.choice(["ORD", "ORDER", "PO", "SO", "WEB", letters(rng, 3), letters(rng, 2)])
        return f"{prefix}-{digits(rng, rng.randint(3, 6))}"
    if shape == 3:
        return digits(rng, rng.randint(3, 8))
    if shape == 4:
        return letters(rng, rng.randint(1, 3)) + digits(rng, rng.randint(2, 6))
    if shape == 5:
        return f"{rng.randint(2023, 2027)}{rng.choice('-/')}{digits(rng, rng.randint(2, 5))}"
    if shape == 6:
        return f"{letters(rng, 2).lower()}-{digits(rng, 2)}-{digits(rng, 2)}"
    return f"#{digits(rng, rng.randint(3, 6))}"


def issue(rng: random.Random, words: Patterns) -> str:
    """A fault in a few words; now and then about a made-up thing or place."""
    text = rng.choice(words["issues"])
    dice = rng.random()
    if dice < 0.12:
        return f"{text} in {room(rng, words)}"
    if dice < 0.2:
        return f"{name(rng)} {digits(rng, rng.randint(2, 4))} {text}"
    return text


def priority(rng: random.Random) -> str:
    return rng.choice(["low", "medium", "high"])


def date(rng: random.Random) -> str:
    day, month = rng.randint(1, 28), rng.randint(1, 12)
    if rng.random() < 0.6:
        return f"{rng.randint(2025, 2028)}-{month:02}-{day:02}"
    names = "January February March April May June July August September October November December"
    return f"{day} {names.split()[month - 1]}"


def tools(rng: random.Random, *wanted: str, most: int = 5) -> list[dict]:
    """The wanted tools among others, up to `most`, in any order, described or not."""
    others = [name for name in TOOLS if name not in wanted]
    if rng.random() < 0.5:  # the four that the lessons show together
        others = [name for name in COURSE_FOUR if name not in wanted]
    count = rng.randint(len(wanted), max(most, len(wanted)))
    names = [*wanted, *rng.sample(others, min(len(others), count - len(wanted)))]
    rng.shuffle(names)
    if rng.random() < 0.2:
        return [undescribed(TOOLS[name]) for name in names]
    return [TOOLS[name] for name in names]


def undescribed(tool: dict) -> dict:
    function = {key: value for key, value in tool["function"].items() if key != "description"}
    return {"type": "function", "function": function}


COURSE_FOUR = ["get_weather", "set_thermostat", "lookup_order_status", "create_support_ticket"]


def spoken(rng: random.Random, text: str) -> str:
    """What somebody typed: as it is, without capitals, without the full stop, in capitals."""
    dice = rng.random()
    if dice < 0.12:
        return text[:1].lower() + text[1:]
    if dice < 0.22:
        return text.rstrip(".?!")
    if dice < 0.25:
        return text + rng.choice(["!", "!!", " thanks", " please", " pls", ", thank you"])
    return text
