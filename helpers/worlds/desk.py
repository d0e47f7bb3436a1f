"""Requests of three kinds with what would be right: tools a model knows, new tools, open questions.

>>> len(KNOWN), len(NEW), len(OPEN)
(36, 36, 36)
>>> NEW[0].request, NEW[0].name, NEW[0].arguments
('Get the piano tuned on Monday.', 'tune_piano', {'day': 'Monday'})
"""

from dataclasses import dataclass
from itertools import product

TEXT, NUMBER = {"type": "string"}, {"type": "number"}


@dataclass(frozen=True)
class Case:
    """A request, the tools that are offered with it, and the one call that is right."""

    request: str
    tools: list[dict]
    name: str
    arguments: dict


def _cases(*blocks) -> list[Case]:
    """Of (name, description, arguments, wordings, values): each wording with each of the values."""
    tools = [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": description,
                "parameters": {"type": "object", "properties": kinds, "required": list(kinds)},
            },
        }
        for name, description, kinds, _, _ in blocks
    ]
    return [
        Case(wording.format(*value), tools, name, dict(zip(kinds, value, strict=True)))
        for name, _, kinds, wordings, values in blocks
        for wording, value in product(wordings, values)
    ]


# Tools that the course's model was trained on; the requests were written for this list.
KNOWN = _cases(
    (
        "get_weather",
        "Say the weather in a city.",
        {"city": TEXT},
        [
            "What is the weather like in {}?",
            "do i need an umbrella in {} today",
            "Tell me how the weather is in {}.",
            "Is it cold in {} right now?",
        ],
        [("Bergen",), ("Nairobi",), ("Lima",)],
    ),
    (
        "lookup_order_status",
        "Look up the status of an order.",
        {"order_id": TEXT},
        [
            "Where is my order {}?",
            "status of {} please",
            "Has order {} been sent yet?",
            "Can you check on {} for me? It should have been here on Friday.",
        ],
        [("A-1042",), ("K-7731",), ("C-2098",)],
    ),
    (
        "set_thermostat",
        "Set the temperature of a room.",
        {"room": TEXT, "temperature": NUMBER},
        [
            "Set the {} to {} degrees.",
            "{} to {} degrees please",
            "Could you make the {} {} degrees warm?",
            "The {} is freezing, turn it up to {}.",
        ],
        [("kitchen", 21), ("bedroom", 18.5), ("office", 20)],
    ),
)

# Tools that are in no line of its training text: their descriptions have to be read.
NEW = _cases(
    (
        "tune_piano",
        "Book a piano tuner for a day.",
        {"day": TEXT},
        [
            "Get the piano tuned on {}.",
            "book the piano tuner for {}",
            "Have somebody tune our piano on {}.",
            "The piano sounds awful, can a tuner come on {}?",
        ],
        [("Monday",), ("Thursday",), ("Saturday",)],
    ),
    (
        "polish_boat",
        "Have a boat polished.",
        {"boat_name": TEXT},
        [
            "Have the {} polished.",
            "polish the boat {}",
            "Please get my boat {} polished.",
            "The {} looks dull, let somebody polish her.",
        ],
        [("Marlin",), ("Aurora",), ("Sea Breeze",)],
    ),
    (
        "feed_fish",
        "Feed the fish in a tank.",
        {"tank": TEXT, "grams": NUMBER},
        [
            "Give the fish in the {} tank {} grams of food.",
            "feed the {} tank {} grams",
            "Please feed the {} tank, {} grams will do.",
            "The fish in the {} tank need {} grams.",
        ],
        [("blue", 5), ("kitchen", 12), ("north", 3)],
    ),
)

CAPITALS = {
    "France": "Paris",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Japan": "Tokyo",
    "Kenya": "Nairobi",
    "Norway": "Oslo",
    "Egypt": "Cairo",
    "Greece": "Athens",
    "Poland": "Warsaw",
    "Cuba": "Havana",
    "Peru": "Lima",
    "Chile": "Santiago",
    "Ireland": "Dublin",
    "Portugal": "Lisbon",
    "Austria": "Vienna",
    "Hungary": "Budapest",
    "Thailand": "Bangkok",
    "Sweden": "Stockholm",
}

# Questions to its knowledge, each with a word that a right answer holds.
OPEN = [(f"What is the capital of {country}?", city) for country, city in CAPITALS.items()] + [
    (f"What is {a} plus {b}?", str(a + b)) for a, b in product((3, 8, 14, 25, 47, 68), (5, 19, 36))
]
