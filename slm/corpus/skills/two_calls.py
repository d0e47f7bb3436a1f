"""Two things wanted in one message: one call after the other, then one answer."""

import random

from slm.corpus import scenes, values
from slm.corpus.conversation import Conversation, answer, call, system, user
from slm.corpus.patterns import Patterns, fill


def generate(rng: random.Random, words: Patterns) -> Conversation:
    pattern, spell = scenes.cased(rng, rng.choice(words["chain_weather_thermostat"]))
    city, room = spell(values.city(rng, words)), spell(values.room(rng, words))
    target, measured = values.temperature(rng), values.temperature(rng, -15, 38)
    sky = rng.choice(scenes.SKIES)
    text = values.spoken(rng, scenes.fill_room(pattern, room, city=city, temp=target))

    weather = [
        call("get_weather", city=city),
        scenes.weather_result(rng, city, measured, sky),
    ]
    done, said_done = scenes.thermostat_done(rng, words, room, target)
    thermostat = [call("set_thermostat", room=room, temperature=target), done]
    said = fill(rng.choice(words["weather_reply"]), city=city, temp=measured, sky=sky)
    # The calls follow the order of the request.
    if pattern.index("{city}") < pattern.lower().index("{room}"):
        turns, reply = weather + thermostat, f"{said} {said_done}"
    else:
        turns, reply = thermostat + weather, f"{said_done} {said}"
    messages = [*system(rng), user(text), *turns, answer(reply)]
    return Conversation("two_calls", messages, values.tools(rng, "get_weather", "set_thermostat"))
