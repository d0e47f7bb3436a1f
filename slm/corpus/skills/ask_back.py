"""A required argument is missing: ask for it, then call with the answer."""

import random

from slm.corpus import speech
from slm.corpus.conversation import Conversation, answer, system, user
from slm.corpus.drawing import written_tool
from slm.corpus.reading import SLOT, Words
from slm.corpus.scenes import drawn, scene, settle
from slm.corpus.showing import beside, dress
from slm.corpus.toolbook import Tool


def askable(tool: Tool) -> list[str]:
    return [name for name in tool.required if tool.has(f"missing {name}") and tool.asks(name)]


def generate(rng: random.Random, words: Words) -> Conversation:
    while True:
        tool = written_tool(rng)
        if not askable(tool):
            continue
        begun = scene(rng, words, tool, f"missing {rng.choice(askable(tool))}")
        absent = [name for name in tool.required if name not in begun.arguments]
        if absent and all(tool.asks(name) for name in absent):
            break
    messages = [*system(rng, words), user(begun.text)]
    lower = begun.text == begun.text.lower()
    for name in absent:
        about = [name, *tool.block.sections[f"ask {name}"]]
        messages.append(answer(question(rng, words, tool, name), "asks", about))
        if rng.random() < 0.15:
            break  # the question alone is worth learning
        said, begun.arguments[name] = drawn(rng, words, tool, name, lower, begun.arguments)
        reply = rng.choice(tool.lines(words, f"give {name}"))
        slots = {slot: said for slot in SLOT.findall(reply) if slot == name}
        if set(slots) != set(SLOT.findall(reply)):
            slots, reply = {name: said}, f"{{{name}}}"
        messages.append(user(speech.fill(reply.lower() if lower else reply, slots)))
    else:
        messages += settle(rng, words, begun).turns()
    return dress(rng, words, "ask_back", messages, beside(rng, words, [tool], [begun.pattern]))


def question(rng: random.Random, words: Words, tool: Tool, name: str) -> str:
    plain = [line for line in tool.lines(words, f"ask {name}") if not SLOT.search(line)]
    return rng.choice(plain or [f"Which {name.replace('_', ' ')}?"])
