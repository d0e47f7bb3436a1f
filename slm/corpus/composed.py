"""Tools that nobody wrote down: a verb, a noun and a few arguments, put together.

Thousands of them, so that a model learns to read a tool and not to know it. What people say is put
together from the same parts ("book" + "the" + noun + "for {guests} people").
"""

import random
from functools import cache

from slm.corpus.reading import Block, Words
from slm.corpus.toolbook import Tool


@cache
def nouns(split: str) -> dict[str, frozenset[str]]:
    """Things and the groups they belong to: `taxi: booking`."""
    pairs = (line.partition(":") for line in Words(split)["nouns"])
    return {noun.strip(): groups_in(groups) for noun, _, groups in pairs}


def groups_in(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def listed(block: Block, key: str) -> frozenset[str] | None:
    """What a block's line `key: a, b` lists; None without such a line."""
    return next(map(groups_in, block.under(key)), None)


@cache
def fitting(kind: str, groups: frozenset[str], verb: str = "") -> tuple[Block, ...]:
    """The "verbs" or "arguments" that go with things of these groups, and with a verb.

    A line `for:` of a block lists its groups, `verbs:` its verbs; without one all will do.
    """
    found = []
    for block in Words("train").blocks(kind):  # not split
        wanted, verbs = listed(block, "for"), listed(block, "verbs")
        if (wanted is None or wanted & groups) and (not verb or verbs is None or verb in verbs):
            found.append(block)
    return tuple(found)


def tool(
    rng: random.Random, words: Words, noun: str | None = None, verb: Block | None = None
) -> Tool:
    """A new tool, with a few requests and results for it in its block, as a written one has."""
    noun = noun or rng.choice(list(nouns(words.split)))
    groups = nouns(words.split)[noun]
    verb = verb or rng.choice(fitting("verbs", groups))
    known = fitting("arguments", groups, verb.head.split()[0])
    if "gets" in verb.head:  # when and how much is no question of those who look something up
        known = [one for one in known if one.head.split()[0] not in WHEN | MEASURES]
    count = rng.choices([0, 1, 2, 3], [5, 40, 40, 15])[0]
    count = count if verb.head in ALONE else max(1, count)
    picked = rng.sample(known, min(count, len(known)))
    optional = {argument.head for argument in picked[1:] if rng.random() < 0.25}

    kinds, properties, required = {}, {}, []
    for argument in picked:
        label, kind = argument.head.split()[:2]
        if "|" in kind:
            figures = kind.replace("|", "").isdigit()
            choices = [int(one) if figures else one for one in kind.split("|")]
            properties[label] = {"type": "integer" if figures else "string", "enum": choices}
        else:
            properties[label] = {"type": TYPES.get(kind, "string")}
            kinds[label] = kind
        if argument.head not in optional:
            required.append(label)
    function = {
        "name": f"{rng.choice(verb.sections['name'])}_{noun.replace(' ', '_')}",
        "description": described(rng, verb, noun),
        "parameters": {"type": "object", "properties": properties, "required": required},
    }
    sections = {
        "request": [request(rng, words, verb, noun, picked, optional)],
        "result": result_lines(rng, verb, noun, required),
        "error": error_lines(rng, noun),
    }
    schema = {"type": "function", "function": function}
    # Made of one split's words already: nothing of it is to be split again.
    return Tool(
        "composed", schema, kinds, Block(f"{verb.head}: {noun}", [], sections), held_out=True
    )


def described(rng: random.Random, verb: Block, noun: str) -> str:
    text = rng.choice(verb.sections["describe"])
    return text.replace("a NOUN", a(noun)).replace("NOUN", noun)


def wish_about_it(rng: random.Random, words: Words) -> tuple[Block, str, str]:
    """A verb, a wish in its words about "it", and a noun that the two fit."""
    while True:
        noun = rng.choice(list(nouns(words.split)))
        groups = nouns(words.split)[noun]
        known = [one for one in fitting("verbs", groups) if one.head in ALONE]
        if not known:
            continue
        verb = rng.choice(known)
        wishes = [
            line
            for line in words.of(verb.sections["say"])
            if line.split().count("NOUN") == 1 and line[-1] not in ".?!"
        ]
        if wishes:
            return verb, rng.choice(wishes).replace("NOUN", "it"), noun


# What can be done to a thing without saying more: not "rename", which wants the new name.
ALONE = set(
    """delete start stop open close cancel archive approve reject lock unlock pause resume restart
    repair print leave""".split()
)
TYPES = {
    "integer": "integer",
    "small": "integer",
    "number": "number",
    "money": "number",
    "temp": "number",
    "percent": "number",
    "year": "integer",
}


def a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeio" else f"a {noun}"


def request(rng, words: Words, verb: Block, noun: str, picked: list, optional: set) -> str:
    """A pattern: a wish with the noun, and for each argument a piece of a sentence."""
    shown = [one for one in picked if one.head not in optional or rng.random() < 0.5]
    pieces = {one.head.split()[0]: rng.choice(words.of(one.sections["say"])) for one in shown}
    wish = rng.choice(words.of(verb.sections["say"]))
    mark = wish[-1] if wish[-1] in ".?!" else ""
    wish = wish.rstrip(".?!")
    after = [piece for label, piece in pieces.items() if label in ADVERBIAL]
    about = [piece for label, piece in pieces.items() if label not in ADVERBIAL]
    rng.shuffle(about)
    if pieces and rng.random() < 0.12:
        pairs = ", ".join(f"{label.replace('_', ' ')}: {{{label}}}" for label in pieces)
        tail = f"{rng.choice([' - ', ': ', ', ', '. '])}{pairs}"
        return wish.replace("ANOUN", a(noun)).replace("NOUN", f"the {noun}") + tail
    # What tells which one it is stands right behind it; when and how stand at the end.
    thing = " ".join([noun, *about])
    wish = wish.replace("ANOUN", a(thing)).replace(
        "NOUN", f"{rng.choice(['the', 'the', 'my'])} {thing}"
    )
    if after and not mark and after[0].split()[0] in FRONT and rng.random() < 0.3:
        text = f"{after[0]}, {' '.join([wish, *after[1:]])}"
    else:
        text = " ".join([wish, *after]) + mark
        if not mark and rng.random() < 0.75:
            text = rng.choice(words["frames"]).replace("WISH", text)
    return text[:1].upper() + text[1:] if rng.random() < 0.55 and text[0] != "{" else text


WHEN = {"departure", "start_date", "start_time", "scheduled_for", "arrival", "weekday"}
MEASURES = {"weight", "quantity", "repeat", "duration", "discount", "deposit"}
# Arguments that go with what is done, not with the thing.
ADVERBIAL = set(
    """departure start_date start_time scheduled_for duration arrival weekday recipient destination
    format deposit copies priority assignee discount repeat access contact_email callback""".split()
)
FRONT = {"for", "on", "at", "in", "with", "by", "from", "to"}


def result_lines(rng: random.Random, verb: Block, noun: str, required: list[str]) -> list[str]:
    """Results in the form of a written tool's, with the answers to them."""
    when = next((label for label in required if label in WHEN), None)
    if when and "gets" not in verb.head:  # what is to be done later is not done yet
        return [
            f"{rng.choice(OK)} => That is arranged for the {noun}: {{{when}}}.",
            f'{{"{when}": "{{{when}}}", "accepted": true}} => Accepted for the {noun}: {{{when}}}.',
        ]
    if "result" in verb.sections:
        return [line.replace("NOUN", noun) for line in verb.sections["result"]]
    if "gets" in verb.head:
        return [line.replace("NOUN", noun) for line in FOUND]
    done = rng.choice(verb.sections["done"]).replace("NOUN", f"the {noun}")
    done = done[:1].upper() + done[1:]
    key = rng.choice(["job", "confirmation", "ticket", "receipt"])
    return [
        f"{rng.choice(OK)} => {done}",
        f'{{"{key}": "{{id}}"}} => {done} The {key} number is {{id}}. | {done} The {key}: {{id}}.',
        f'{{"status": "ok", "{key}": "{{id}}"}} => {done} The {key} number is {{id}}.',
    ]


FOUND = [
    '{"status": "{state}"} => The status of the NOUN is {state}. | The NOUN: {state}.',
    '{"status": "{state}", "updated": "{day}"} => The NOUN is marked as {state}, last updated on '
    "{day}. | Its status is {state}, as of {day}.",
    '{"state": "{state}", "contact": "{email}"} => The NOUN is listed as {state}; the contact is '
    "{email}. | It is {state}. Questions go to {email}.",
    '{"found": true, "status": "{state}", "changes": {small}} => I found the NOUN: its status is '
    "{state}, with {small} changes. | The status is {state}, after {small} changes.",
    '{"status": "{state}", "note": "seen by {person}"} => The NOUN is marked {state}, and '
    "{person} has seen it. | Status {state}; it was seen by {person}.",
]
OK = ["ok", "done", '{"ok": true}', '{"status": "ok"}', '{"success": true}']


def error_lines(rng, noun: str) -> list[str]:
    error, said = rng.choice(
        [
            ("not found", f"I could not find the {noun}."),
            (f"no such {noun}", f"There is no such {noun}."),
            ("permission denied", "That did not work: permission denied."),
            ("timeout", "It did not work: the request ran into a timeout."),
            ("service unavailable", "It did not work, the service is unavailable right now."),
            (f"the {noun} is locked", f"That failed: the {noun} is locked."),
            ("invalid request", "It was refused as an invalid request."),
        ]
    )
    return [f"{error} => {said} | Sorry, that failed: {error}."]


def relatives(rng: random.Random, wanted: list[Tool]) -> list[Tool]:
    """Tools about the same thing as a composed one: `cancel_taxi` beside `book_taxi`."""
    if not wanted or not wanted[0].block.sections or wanted[0].family != "composed":
        return []
    head, _, noun = wanted[0].block.head.partition(": ")
    words = Words("train" if noun in nouns("train") else "exam")
    others = [one for one in fitting("verbs", nouns(words.split)[noun]) if one.head != head]
    return [tool(rng, words, noun, verb) for verb in rng.sample(others, min(3, len(others)))]
