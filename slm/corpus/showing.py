"""How tools are shown to the model: which others beside them, in what order, under what names.

In two conversations of three the tools look as the course has them. Otherwise a tool's name, its
arguments' names, its description and the order of everything differ, so that the model has to read
what it is shown.
"""

import random
import re
from functools import cache

from slm.corpus import composed
from slm.corpus.conversation import Conversation, as_json
from slm.corpus.reading import Block, Words
from slm.corpus.toolbook import ALL_FAMILIES, COURSE, FAMILIES, Tool, any_of
from slm.corpus.values import mixed

# Tools that one wish may fit: they are shown together only when the wish names its own thing.
OWN_WORDS = {
    "create_support_ticket": "ticket",
    "create_incident_report": "incident|outage report",
    "escalate_to_human": "human|person|someone|somebody|escalat|manager|colleague|agent",
    "run_diagnostics": "diagnos|test|scan|check",
    "add_task": "task|list|to-?do",
    "set_reminder": "remind",
    "take_note": r"\bnote|write down|jot|memo",
    "schedule_job": "schedule|job|machine",
    "schedule_meeting": "meeting|meet ",
    "book_appointment": "appointment|patient|visit",
    "find_free_slot": "free|slot|gap|room in",
    "check_appointment_availability": "appointment|opening",
    "schedule_callback": r"\bcall",
    "lookup_customer": "customer|client|account",
    "access_patient_portal": "patient|portal|record",
    "access_knowledge_base": "knowledge|article|help",
    "recommend": "recommend|suggest|read",
    "get_stock_price": r"price|quote|trad|worth|cost",
    "assess_risk": "risk|safe|danger|volatil",
    "market_report": r"report|market|stocks|exchange|trading day",
    "get_portfolio": "portfolio|holding|own|my shares",
    "find_alternatives": "alternative|similar|else|instead",
}
GROUPS = [
    {"create_support_ticket", "create_incident_report", "escalate_to_human", "run_diagnostics"},
    {"create_support_ticket", "take_note", "add_task", "set_reminder", "schedule_job"},
    {"schedule_meeting", "book_appointment", "schedule_callback", "set_reminder", "add_task"},
    {"find_free_slot", "check_appointment_availability", "schedule_meeting", "book_appointment"},
    {"lookup_customer", "access_patient_portal"},
    {"access_knowledge_base", "recommend", "find_alternatives"},
    {"draft_email", "take_note", "categorize_email"},
    {"get_stock_price", "market_report", "assess_risk", "get_portfolio"},
]


def may_stand_beside(pattern: str, tool: Tool, other: Tool) -> bool:
    """Whether a wish for `tool` cannot be taken for one for `other`."""
    if other.name in near(tool) or tool.name in near(other):
        return False
    if not any({tool.name, other.name} <= group for group in GROUPS):
        return True
    own, others = OWN_WORDS.get(tool.name), OWN_WORDS.get(other.name)
    if own is None or others is None:
        return True
    return bool(re.search(own, pattern, re.I)) and not re.search(others, pattern, re.I)


def near(tool: Tool) -> set[str]:
    """The tools that a wish for this one may be taken for, as its block says."""
    return {name for line in tool.block.under("near") for name in re.findall(r"\w+", line)}


def beside(
    rng: random.Random, words: Words, wanted: list[Tool], patterns: list[str], most: int = 6
) -> list[Tool]:
    """The wanted tools among others, in any order: one to `most`, or all that are wanted."""
    count = max(len(wanted), rng.choices(range(1, most + 1), [1, 2, 3, 3, 3, 1][:most])[0])
    shown = list(wanted)
    own_family = list(ALL_FAMILIES.get(wanted[0].family, {}).values()) if wanted else []
    own_family = own_family or composed.relatives(rng, wanted)
    tries = 0
    while len(shown) < count and tries < 30:
        tries += 1
        dice = rng.random()
        if dice < 0.45 and own_family:
            other = rng.choice(own_family)
        elif dice < 0.7:
            other = any_of(rng, COURSE)
        elif dice < 0.9:
            other = any_of(rng, FAMILIES)
        else:
            other = composed.tool(rng, words)
        if any(other.name == one.name for one in shown):
            continue
        if all(may_stand_beside(p, t, other) for p, t in zip(patterns, wanted, strict=True)):
            shown.append(other)
    rng.shuffle(shown)
    return shown


# ---- other names


@cache
def other_names() -> dict[str, Block]:
    """`text/blocks/names.txt` by tool: `[name]`, `[argument]`, `[about argument]`."""
    return {block.head: block for block in Words("train").blocks("names")}


OPTIONAL = [
    ("note", {"type": "string"}),
    ("limit", {"type": "integer"}),
    ("language", {"type": "string", "enum": ["en", "de", "fr"]}),
    ("verbose", {"type": "boolean"}),
    ("format", {"type": "string", "enum": ["short", "long"]}),
    ("comment", {"type": "string"}),
    ("dry_run", {"type": "boolean"}),
    ("tags", {"type": "array", "items": {"type": "string"}}),
    ("timeout_s", {"type": "number"}),
    ("options", {"type": "object", "properties": {"silent": {"type": "boolean"}}}),
]


def shown(
    rng: random.Random, words: Words, tool: Tool, disguise: float
) -> tuple[dict, str, dict[str, str]]:
    """(OpenAI tool, its name as shown, {argument: its name as shown}) of one tool."""
    known = tool.schema["function"]
    function = {"name": tool.name, "description": known["description"]}
    new = {argument: argument for argument in tool.properties}
    names = other_names().get(tool.name) if tool.family in COURSE else None
    other_look = rng.random() < disguise
    if other_look and names:
        function["name"] = rng.choice(words.of(names.sections["name"]))
        new |= {a: rng.choice(words.of(names.sections[a])) for a in new if rng.random() < 0.6}
        if len(set(new.values())) < len(new):  # two have become the same
            new = {argument: argument for argument in tool.properties}
    items = [(new[name], dict(schema)) for name, schema in tool.properties.items()]
    if tool.has("describe") and rng.random() < (0.8 if other_look else 0.35):
        function["description"] = rng.choice(tool.lines(words, "describe"))
    if other_look:
        if rng.random() < 0.06:
            function["name"] = f"{rng.choice(['tool', 'fn', 'action'])}_{mixed(rng, 3)}"
        elif rng.random() < 0.15:
            del function["description"]
        if rng.random() < 0.5:
            rng.shuffle(items)
        if rng.random() < 0.12:
            extra, schema = rng.choice(OPTIONAL)
            if extra not in dict(items):
                items.insert(rng.randint(0, len(items)), (extra, dict(schema)))
        for _, schema in items:
            if "enum" in schema and rng.random() < 0.4:
                schema["enum"] = rng.sample(schema["enum"], len(schema["enum"]))
    if names and rng.random() < (0.3 if other_look else 0.1):
        properties = dict(items)
        for argument, label in new.items():
            properties[label]["description"] = rng.choice(
                words.of(names.sections[f"about {argument}"])
            )
    parameters = {"type": "object", "properties": dict(items)}
    required = [new[name] for name in tool.required]
    if required or rng.random() < 0.7:
        parameters["required"] = required
    if items or rng.random() < 0.8:
        function["parameters"] = parameters
    return {"type": "function", "function": function}, function["name"], new


def dress(
    rng: random.Random,
    words: Words,
    skill: str,
    messages: list[dict],
    tools: list[Tool],
    disguise: float | None = None,
) -> Conversation:
    """The conversation as the model sees it: the tools under the names they are shown with.

    disguise: the chance of other names for each tool; by default all look as in the course in six
    conversations of ten, and the others mostly do not.
    """
    if disguise is None:
        disguise = 0.0 if rng.random() < 0.6 else 0.8
    looks, names = [], set()
    for tool in tools:
        look = shown(rng, words, tool, disguise)
        if look[1] in names:
            look = shown(rng, words, tool, 0.0)
        names.add(look[1])
        looks.append((tool.name, look))
    by_name = dict(looks)
    dressed = []
    for message in messages:
        if "tool_calls" in message:
            made = []
            for one in message["tool_calls"]:
                schema, name, new = by_name[one["function"]["name"]]
                given = {new[key]: value for key, value in one["function"]["arguments"].items()}
                order = schema["function"].get("parameters", {}).get("properties", {})
                arguments = {key: given[key] for key in order if key in given}
                made.append({"function": {"name": name, "arguments": as_json(arguments)}})
                if "accept" in one:
                    made[-1]["accept"] = {new[key]: value for key, value in one["accept"].items()}
            message = {**message, "tool_calls": made}
        dressed.append(message)
    return Conversation(skill, dressed, [look[0] for _, look in looks])
