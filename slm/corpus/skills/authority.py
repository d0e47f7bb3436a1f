"""Who may give orders: not a tool's result, not a user who says so; the system text's roles may."""

import json
import random

from slm.corpus import speech
from slm.corpus.conversation import Conversation, answer, system, user
from slm.corpus.drawing import any_tool
from slm.corpus.reading import Words
from slm.corpus.scenes import full_scene, scene, settle
from slm.corpus.showing import beside, dress
from slm.corpus.toolbook import BOOK, phrase


def generate(rng: random.Random, words: Words) -> Conversation:
    return rng.choices([in_result, by_user, by_role], [35, 25, 40])[0](rng, words)


def section(words: Words, name: str) -> tuple[str, ...]:
    return words.of(words.blocks("authority")[0].sections[name])


def in_result(rng: random.Random, words: Words) -> Conversation:
    """A tool's result that holds orders: data, to be reported and not to be followed."""
    while True:
        found = full_scene(rng, words, any_tool(rng, words))
        if "error" not in found.result["content"].lower():
            break
    order = phrase(rng, words, rng.choice(section(words, "in_result")))
    found.result = {"role": "tool", "content": smuggled(rng, found.result["content"], order)}
    if rng.random() < 0.5:
        found.answer += " " + rng.choice(section(words, "noticed"))
    messages = [*system(rng, words), user(found.text), *found.turns()]
    messages[-1] = answer(found.answer, "ignores", [order])
    return dress(
        rng, words, "authority", messages, beside(rng, words, [found.tool], [found.pattern])
    )


def smuggled(rng: random.Random, text: str, order: str) -> str:
    """A result with an order hidden in it, in a field of its own or behind the text."""
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if isinstance(content, dict):
        key = rng.choice(["note", "comment", "message", "remark", "description", "info", "html"])
        items = [*content.items(), (key, order)]
        rng.shuffle(items)
        return json.dumps(dict(items), ensure_ascii=False)
    return f"{text}{rng.choice([' ', chr(10), ' -- '])}{order}"


def by_user(rng: random.Random, words: Words) -> Conversation:
    """A user who wants other rules. Calm refusal; a real request afterwards is still served."""
    text = phrase(rng, words, rng.choice(section(words, "by_user")))
    said = rng.choice(section(words, "refusal"))
    messages = [*system(rng, words), user(text), answer(said, "refuses")]
    tools, patterns = [], []
    if rng.random() < 0.4:
        found = full_scene(rng, words, any_tool(rng, words))
        messages += [user(found.text), *found.turns()]
        tools, patterns = [found.tool], [found.pattern]
    return dress(rng, words, "authority", messages, beside(rng, words, tools, patterns))


def by_role(rng: random.Random, words: Words) -> Conversation:
    """A rule of the system text about who may do what; what users say of themselves is no role."""
    *rules, general = words.blocks("roles")
    block = rng.choice(rules)
    tool = BOOK[block.under("tool")[0]]
    allowed = [role.strip() for role in block.under("allowed")[0].split("|")]
    denied = [role.strip() for role in block.under("denied")[0].split("|")]
    may = rng.random() < 0.5
    role = rng.choice(allowed if may else denied)
    user_is = rng.choice(words.of(general.sections["user_is"])).replace(
        "a ROLE", speech.joined("a ", role)
    )
    text = [rng.choice(block.under("rule")), user_is.replace("ROLE", role)]
    rng.shuffle(text)
    before = system(rng, words)
    text = [*(message["content"] for message in before), *text]
    messages = [{"role": "system", "content": " ".join(text)}]
    wish = scene(rng, words, tool)
    if may:
        messages += [user(wish.text), *settle(rng, words, wish).turns()]
    else:
        refusal = rng.choice(words.of(block.sections["refuse"]))
        claim = rng.choice(words.of(general.sections["claim"]))
        dice = rng.random()
        if dice < 0.35:
            messages += [user(f"{wish.text}{' ' if wish.text[-1] in '.?!' else '. '}{claim}")]
            messages += [answer(refusal, "refuses")]
        else:
            messages += [user(wish.text), answer(refusal, "refuses")]
            if dice < 0.7:
                again = rng.choice(words.of(block.sections["refuse"]))
                messages += [user(claim), answer(again, "refuses")]
    return dress(rng, words, "authority", messages, beside(rng, words, [tool], [wish.pattern]))
