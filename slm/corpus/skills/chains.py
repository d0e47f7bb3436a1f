"""Two or three calls in a row, each using the last result or depending on it."""

import json
import random
from functools import cache

from slm.corpus import composed, speech, toolbook, truth, values
from slm.corpus.conversation import Conversation, answer, as_json, call, result, system, user
from slm.corpus.reading import SLOT, Block, Words
from slm.corpus.scenes import in_json, shuffled
from slm.corpus.showing import beside, dress
from slm.corpus.toolbook import BOOK

# What the course's first lessons ask for, with its counterpart, and their share of the written ones
SHOP = ("order late, then ticket", "order looked up: delayed")
SHOPS = 0.3


@cache
def wishes(words: Words) -> dict[str, list[Block]]:
    """The blocks by the wish they belong to: one for each outcome."""
    found: dict[str, list[Block]] = {}
    for block in words.blocks("chains"):
        name = next(iter(block.under("same")), block.head)
        found.setdefault(name, []).append(block)
    return found


def generate(rng: random.Random, words: Words) -> Conversation:
    return (composed_chain if rng.random() < 0.3 else written_chain)(rng, words)


def composed_chain(rng: random.Random, words: Words) -> Conversation:
    """Find a thing by its owner, then do something to it by the reference that was found."""
    verb, wish, noun = composed.wish_about_it(rng, words)
    lower = speech.is_lower(rng)
    owner, reference = values.person(rng, words), values.code(rng)
    owner = owner.lower() if lower else owner
    thing = noun.replace(" ", "_")
    finder = rng.choice(["find", "search", "lookup", "get"]) + f"_{thing}"
    doer = f"{rng.choice(verb.sections['name'])}_{thing}"
    by, key = rng.choice(["owner", "owner_name", "name"]), rng.choice(["reference", "id", "number"])
    tools = [
        toolbook.composed_tool(f"{finder}({by}: string) Find a {noun} by its owner."),
        toolbook.composed_tool(f"{doer}({key}: string) {composed.described(rng, verb, noun)}"),
    ]
    pattern = rng.choice(words["find_then"]).replace("NOUN", noun).replace("DO", wish)
    text = speech.fill(pattern.lower() if lower else pattern, {"owner": owner})
    messages = [*system(rng, words), user(speech.upper_first(text) if not lower else text)]
    messages.append(call(finder, **{by: owner}))
    if rng.random() < 0.2:
        messages += [
            result(rng.choice(["[]", '{"found": 0}', '{"error": "not found"}', "nothing found"])),
            answer(f"I found no {noun} of {owner}, so there was nothing to do.", "figures"),
        ]
    else:
        done = rng.choice(verb.sections["done"]).replace("NOUN", f"the {noun}")
        messages += [
            result(shuffled(rng, as_json({key: reference, by: owner}))),
            call(doer, **{key: reference}),
            result(rng.choice(["ok", "done", '{"ok": true}', '{"status": "ok"}'])),
            answer(f"{speech.upper_first(done)} Its {key} is {reference}.", "figures"),
        ]
    others = beside(rng, words, tools, [pattern, pattern], 5)
    return dress(rng, words, "chains", messages, others)


def written_chain(rng: random.Random, words: Words) -> Conversation:
    known = wishes(words)
    outcomes = known[rng.choice(SHOP if rng.random() < SHOPS else list(known))]
    block = rng.choice(outcomes)
    pattern = rng.choice(words.of(outcomes[0].sections["request"]))
    sources = dict(
        pair.strip().split("=")
        for line in [*outcomes[0].under("slots"), *block.under("slots")]
        for pair in line.split(",")
    )
    lower = speech.is_lower(rng)
    slots = Slots(rng, words, sources, set(SLOT.findall(pattern)), lower)
    text = speech.as_typed(rng, pattern, lower, 0.05)
    text = speech.fill(text, {slot: slots[slot][0] for slot in SLOT.findall(pattern)})
    messages = [*system(rng, words), user(speech.typed(rng, words, text))]
    for line in block.lines:
        verb, _, rest = line.partition(" ")
        if verb == "call":
            tool, *pairs = [part.strip() for part in rest.split("|") if part.strip()]
            arguments = dict(pair.split("=", 1) for pair in pairs)
            made = {key: meant(slots, tool, key, arguments[key]) for key in arguments}
            loose = {key: own_words(slots, arguments[key]) for key in arguments}
            messages.append(loosely(call(tool, **made), loose))
            known = truth.results(tool, made, set(), None)
        elif verb == "result":
            for slot in SLOT.findall(rest):
                if slot not in slots and (kind := slot.rstrip("0123456789")) in known:
                    slots[slot] = (str(known[kind]), known[kind])
            filled = SLOT.sub(lambda m, r=rest: in_json(str(slots[m[1]][1]), r), rest)
            messages.append(result(shuffled(rng, filled)))
        elif verb == "answer":
            said = rng.choice(rest.split(" | "))
            messages.append(
                answer(
                    speech.fill(said, {s: str(slots[s][1]) for s in SLOT.findall(said)}), "figures"
                )
            )
    names = [line.split()[1] for one in outcomes for line in one.lines if line.startswith("call ")]
    names += outcomes[0].under("beside")
    tools = [BOOK[name] for name in dict.fromkeys(names)]
    tools = beside(rng, words, tools, [pattern] * len(tools), max(5, len(tools)))
    return dress(rng, words, "chains", messages, tools)


def own_words(slots: "Slots", pattern: str) -> dict | None:
    """What of a text that the chain words itself a right call must hold; None for a plain value."""
    names = SLOT.findall(pattern)
    if not names or SLOT.fullmatch(pattern):
        return None
    return {"holds": [str(slots[name][1]) for name in names]}


def loosely(message: dict, loose: dict[str, dict | None]) -> dict:
    """A call whose texts the exam judges by what they hold: nobody could guess the wording."""
    accept = {key: value for key, value in loose.items() if value}
    if accept:
        message["tool_calls"][0]["accept"] = accept
    return message


class Slots(dict):
    """(said, meant) of each slot of a chain, drawn when it is first asked for."""

    def __init__(self, rng, words, sources: dict[str, str], typed: set[str], lower: bool):
        super().__init__()
        self.draw = (rng, words, sources)
        self.typed, self.lower = typed, lower

    def __missing__(self, slot: str) -> tuple[str, object]:
        rng, words, sources = self.draw
        kind = sources.get(slot) or sources.get(slot.rstrip("0123456789"))
        if kind and "." in kind:
            tool, _, argument = kind.partition(".")
            made = BOOK[tool].value(rng, words, argument)
        elif slot.startswith("unit"):  # two units belong together
            others = [self[other][0] for other in self if other.startswith("unit")]
            made = (unit := values.unit(rng, *others), unit)
        else:
            made = toolbook.slot_value(rng, words, kind or slot)
        if self.lower and slot in self.typed and isinstance(made[1], str):
            made = (made[0].lower(), made[1].lower())
        self[slot] = made
        return made


def meant(slots: Slots, tool: str, argument: str, pattern: str):
    """An argument's value: a slot's own, or a text that holds slots, as its type asks."""
    whole = SLOT.fullmatch(pattern)
    value = slots[whole[1]][1] if whole else SLOT.sub(lambda m: str(slots[m[1]][1]), pattern)
    kind = BOOK[tool].properties[argument]["type"]
    if kind == "string":
        return str(value)
    return json.loads(value) if isinstance(value, str) else value
