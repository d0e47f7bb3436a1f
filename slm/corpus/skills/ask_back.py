"""A required argument is missing: ask for it, then call with the answer."""

import random

from slm.corpus import scenes, values
from slm.corpus.conversation import Conversation, answer, system, user
from slm.corpus.patterns import Patterns

QUESTIONS = {
    "get_weather": ["For which city?", "Which city do you mean?", "In which city?"],
    "set_thermostat": [
        "To what temperature shall I set the {room}?",
        "What temperature do you want in the {room}?",
    ],
    "lookup_order_status": [
        "What is the order number?",
        "Which order is it? Please give me its number.",
        "Please tell me the order number.",
    ],
}
REPLIES = {
    "get_weather": ["{city}", "{city}", "{city}.", "In {city}.", "{city} please", "I mean {city}."],
    "set_thermostat": [
        "{temperature}",
        "{temperature} degrees",
        "To {temperature}.",
        "{temperature} °C",
    ],
    "lookup_order_status": [
        "{order_id}",
        "It is {order_id}.",
        "{order_id}, I think.",
        "number {order_id}",
    ],
}
ASKED = {
    "get_weather": (scenes.weather, "missing_city"),
    "set_thermostat": (scenes.thermostat, "missing_thermostat"),
    "lookup_order_status": (scenes.order, "missing_order"),
}


def generate(rng: random.Random, words: Patterns) -> Conversation:
    tool = rng.choice(list(ASKED))
    scene_of, patterns = ASKED[tool]
    scene = scene_of(rng, words)
    slots = scene.arguments
    messages = [
        *system(rng),
        user(values.spoken(rng, scenes.fill_room(rng.choice(words[patterns]), **slots))),
        answer(scenes.fill_room(rng.choice(QUESTIONS[tool]), **slots)),
    ]
    if rng.random() < 0.7:
        messages += [user(scenes.fill_room(rng.choice(REPLIES[tool]), **slots)), *scene.turns()]
    return Conversation("ask_back", messages, values.tools(rng, tool))
