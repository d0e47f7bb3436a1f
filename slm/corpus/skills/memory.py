"""What was said in earlier turns: facts told and asked for, "the same for B-17", "my city"."""

import random
from dataclasses import replace

from slm.corpus import speech
from slm.corpus.conversation import Conversation, answer, system, user
from slm.corpus.drawing import written_tool
from slm.corpus.reading import SLOT, Block, Words
from slm.corpus.scenes import Scene, drawn, full_scene, settle
from slm.corpus.showing import beside, dress
from slm.corpus.skills.no_call import exchange
from slm.corpus.toolbook import BOOK, Tool, phrase, slot_value


def generate(rng: random.Random, words: Words) -> Conversation:
    kind = rng.choices([again, told, told_then_called], [45, 35, 20])[0]
    return kind(rng, words)


def again(rng: random.Random, words: Words) -> Conversation:
    """A call, then once more with one argument changed."""
    while True:
        tool = written_tool(rng)
        names = [
            name
            for name, schema in tool.properties.items()
            if tool.has(f"follow {name}") and schema["type"] != "boolean"
        ]
        if names:
            break
    scene = full_scene(rng, words, tool)
    first = scene.arguments
    messages = [*system(rng, words), user(scene.text), *scene.turns()]
    lower = scene.text == scene.text.lower()
    for _ in range(rng.choice([1, 1, 2])):
        name = rng.choice([one for one in names if one in scene.arguments] or names)
        kept = {key: value for key, value in scene.arguments.items() if key != name}
        said, meant = drawn(rng, words, tool, name, lower, kept)
        pattern = rng.choice(tool.lines(words, f"follow {name}"))
        if meant == scene.arguments.get(name) or set(SLOT.findall(pattern)) != {name}:
            continue
        scene = settle(rng, words, replace(scene, arguments={**kept, name: meant}))
        text = speech.fill(pattern.lower() if lower else pattern, {name: said})
        messages += [user(text), *scene.turns()]
    if scene.arguments is first:
        return again(rng, words)
    return dress(rng, words, "memory", messages, beside(rng, words, [tool], [scene.pattern]))


def slot_of(rng: random.Random, words: Words, block: Block, slot: str) -> str:
    listed = f"values {slot.rstrip('0123456789')}"
    if listed in block.sections:
        return phrase(rng, words, rng.choice(words.of(block.sections[listed])))
    return slot_value(rng, words, slot)[0]


def told(rng: random.Random, words: Words) -> Conversation:
    """Facts about the user; later they ask for one, that was told, corrected or never told."""
    facts = rng.sample(words.blocks("memory"), rng.choice([1, 2, 2, 3]))
    wanted = rng.choice(facts)
    never = rng.random() < 0.15 and len(facts) > 1
    slots: dict[str, str] = {}

    def filled(block: Block, pattern: str) -> str:
        for slot in SLOT.findall(pattern):
            if (block.head, slot) not in slots:
                slots[block.head, slot] = slot_of(rng, words, block, slot)
        return speech.fill(pattern, {s: slots[block.head, s] for s in SLOT.findall(pattern)})

    def line(block: Block, section: str) -> str:
        return filled(block, rng.choice(words.of(block.sections[section])))

    messages = system(rng, words)
    for block in facts:
        if not (never and block is wanted):
            messages += [user(line(block, "tell")), answer(line(block, "noted"))]
    if not never and rng.random() < 0.2 and "change" in wanted.sections:
        messages.append(user(line(wanted, "change")))
        for (head, slot), value in list(slots.items()):
            old = slot.removesuffix("_b") if slot.endswith("_b") else slot[:-1]
            if head == wanted.head and slot.endswith(("2", "_b")) and (head, old) in slots:
                slots[head, old] = value
        messages.append(answer(line(wanted, "noted")))
    if rng.random() < 0.4:
        messages += exchange(rng, words, "smalltalk")
    asked = line(wanted, "ask")
    if never:
        messages += [user(asked), answer(line(wanted, "unknown"), "not there")]
    else:
        accept = [filled(wanted, one) for one in wanted.sections["recall"]]
        messages += [user(asked), answer(rng.choice(accept), "holds", accept)]
    tools = beside(rng, words, [], []) if rng.random() < 0.5 else []
    return dress(rng, words, "memory", messages, tools)


def told_then_called(rng: random.Random, words: Words) -> Conversation:
    """Something told earlier becomes an argument of a call."""
    block = rng.choice(words.blocks("recall_call"))
    tool: Tool = BOOK[block.head.split()[0]]
    tell = rng.choice(words.of(block.sections["tell"]))
    ask = rng.choice(words.of(block.sections["ask"]))
    lower = speech.is_lower(rng)
    said, meant = {}, {}
    for slot in [*SLOT.findall(tell), *SLOT.findall(ask)]:
        if slot in tool.properties:
            said[slot], meant[slot] = drawn(rng, words, tool, slot, lower, meant)
        else:
            said[slot] = slot_value(rng, words, slot)[0]
    if not set(tool.required) <= set(meant):
        return told_then_called(rng, words)
    if lower:
        tell, ask = tell.lower(), ask.lower()
    scene = settle(rng, words, Scene(tool, ask, speech.fill(ask, said), meant, said))
    messages = [*system(rng, words), user(speech.fill(tell, said))]
    messages.append(answer(rng.choice(words["noted"])))
    if rng.random() < 0.4:
        messages += exchange(rng, words, "smalltalk")
    messages += [user(scene.text), *scene.turns()]
    return dress(rng, words, "memory", messages, beside(rng, words, [tool], [f"{tell} {ask}"]))
