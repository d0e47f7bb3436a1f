"""The three held-out sets: `patterns`, `unseen` tools, and `natural`.

A case is one turn of the assistant: what was said before it, the tools, and what is right. The
first two sets are drawn from the corpus's exam split, by fixed seeds, so they are the same cases on
every machine; the third is `natural.jsonl`.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from slm.corpus.conversation import Conversation, calls, user
from slm.corpus.reading import Words
from slm.corpus.scenes import scene
from slm.corpus.showing import beside, dress
from slm.corpus.toolbook import BOOK, COURSE, HELD_OUT, TOOLS, any_of

NATURAL = Path(__file__).with_name("natural.jsonl")
SETS = ("patterns", "unseen", "natural")
SEED = 20_261


@dataclass
class Case:
    """One turn to be answered.

    grade: how the answer is judged, see `slm.exam.grading`. task: turns with the same task count as
    one, right when all of them are (a chain of calls). expected: the true turn.
    """

    id: str
    set: str
    measure: str
    grade: dict
    messages: list[dict]
    tools: list[dict]
    expected: dict = field(default_factory=dict)
    task: str = ""


# measure: (skill, the grades of the turns it asks for, cases or tasks)
MEASURES = {
    "call": ("one_call", {"calls"}, 1000),
    "two calls at once": ("parallel", {"calls"}, 300),
    "chain of calls": ("chains", {"calls", "figures"}, 300),
    "no call": ("no_call", {"talk"}, 300),
    "asks for what is missing": ("ask_back", {"asks"}, 300),
    "call after asking": ("ask_back", {"calls"}, 300),
    "answer from a result": ("answering", {"figures"}, 300),
    "routing": ("routing", {"label"}, 300),
    "extraction": ("extraction", {"json"}, 300),
    "answer from a text": ("grounded", {"holds"}, 300),
    "not in the text": ("grounded", {"not there"}, 300),
    "call from memory": ("memory", {"calls"}, 300),
    "memory": ("memory", {"holds", "not there"}, 300),
    "drafts": ("drafts", {"draft"}, 300),
    "orders in data ignored": ("authority", {"ignores"}, 300),
    "call that a role allows": ("authority", {"calls"}, 300),
    "refuses what no role allows": ("authority", {"refuses"}, 300),
}


def turns(conversation: Conversation) -> Iterator[tuple[int, dict]]:
    """(position, grade) of each turn that can be judged."""
    for position, message in enumerate(conversation.messages):
        if "tool_calls" in message:
            yield position, {"kind": "calls", "accept": as_expected(message)}
        elif "grade" in message:
            yield position, message["grade"]


def as_expected(message: dict) -> list[dict]:
    """What calls are right: those made, or what is accepted in their arguments' place."""
    return [
        {
            "name": call["function"]["name"],
            "arguments": json.loads(call["function"]["arguments"]) | call.get("accept", {}),
        }
        for call in message["tool_calls"]
    ]


def plain(message: dict) -> dict:
    """A message without what only the exam knows of it."""
    message = {key: value for key, value in message.items() if key != "grade"}
    if "tool_calls" in message:
        calls_made = [{"function": call["function"]} for call in message["tool_calls"]]
        message["tool_calls"] = calls_made
    return message


def patterns() -> Iterator[Case]:
    """Requests, results, values and passages that no training saw, skill by skill."""
    words = Words("exam")
    for measure, (skill, kinds, count) in MEASURES.items():
        generate = import_module(f"slm.corpus.skills.{skill}").generate
        rng = random.Random(f"{SEED} {measure}")
        found = 0
        while found < count:
            conversation = generate(rng, words)
            graded = [(p, g) for p, g in turns(conversation) if g["kind"] in kinds]
            if not graded or not belongs(measure, conversation):
                continue
            if skill != "chains":  # the turn that the skill is about: its first, memory's last
                graded = [graded[-1] if skill == "memory" else graded[0]]
            for step, (position, grade) in enumerate(graded):
                yield case_of(
                    f"{measure} {found}-{step}",
                    "patterns",
                    measure,
                    conversation,
                    position,
                    grade,
                    f"{measure} {found}" if skill == "chains" else "",
                )
            found += 1


def belongs(measure: str, conversation: Conversation) -> bool:
    """Whether a conversation is one for the measure."""
    kinds = {grade["kind"] for _, grade in turns(conversation)}
    if measure == "no call":  # without tools there is nothing to resist
        return bool(conversation.tools)
    if measure == "call that a role allows":
        return not kinds & {"ignores", "refuses"}
    return True


def case_of(
    name: str,
    into: str,
    measure: str,
    conversation: Conversation,
    position: int,
    grade: dict,
    task: str = "",
) -> Case:
    messages = [plain(message) for message in conversation.messages]
    return Case(
        f"{into}: {name}",
        into,
        measure,
        grade,
        messages[:position],
        conversation.tools,
        messages[position],
        task,
    )


def unseen() -> Iterator[Case]:
    """The course's tools under names that no training used, and families of tools it never had."""
    words = Words("exam")

    def renamed(rng: random.Random) -> Conversation:
        tool = any_of(rng, COURSE)
        wish = scene(rng, words, tool)
        tools = beside(rng, words, [tool], [wish.pattern], 5)
        messages = [user(wish.text), calls(wish.function)]
        return dress(rng, words, "unseen", messages, tools, disguise=1.0)

    def of_a_new_family(rng: random.Random) -> Conversation:
        tool = any_of(rng, HELD_OUT)
        wish = scene(rng, words, tool)
        family = [one for one in HELD_OUT[tool.family].values() if one is not tool]
        tools = [tool, *rng.sample(family, min(len(family), rng.randint(0, 4)))]
        rng.shuffle(tools)
        messages = [user(wish.text), calls(wish.function)]
        return dress(rng, words, "unseen", messages, tools, disguise=0.0)

    for measure, drawn in (
        ("call, renamed tools", renamed),
        ("call, new families", of_a_new_family),
    ):
        rng = random.Random(f"{SEED} {measure}")
        for number in range(500):
            conversation = drawn(rng)
            position, grade = next(turns(conversation))
            yield case_of(f"{measure} {number}", "unseen", measure, conversation, position, grade)


NATURAL_MEASURES = {
    "calls": "call",
    "no_call": "no call",
    "ask": "asks for what is missing",
}


def natural() -> Iterator[Case]:
    """The cases written by hand, in their file's order."""
    for line in NATURAL.read_text(encoding="utf-8").splitlines():
        written = json.loads(line)
        kind, expected = next(iter(written["expect"].items()))
        measure = NATURAL_MEASURES[kind]
        if kind == "calls":
            measure = "two calls at once" if len(expected) > 1 else measure
            grade = {"kind": "calls", "accept": expected}
        elif kind == "no_call":
            grade = {"kind": "talk", "accept": []}
        else:
            grade = {"kind": "asks", "accept": asking_words(expected, written["tools"])}
        tools = [TOOLS[name] for name in written["tools"]]
        yield Case(written["id"], "natural", measure, grade, written["messages"], tools)


def asking_words(argument: str, tools: list[str]) -> list[str]:
    """Questions for an argument, of the tools that have it: their words are looked for."""
    questions = [argument]
    for name in tools:
        questions += BOOK[name].block.sections.get(f"ask {argument}", [])
    return questions


def cases(sets: tuple[str, ...] = SETS, share: float = 1.0) -> list[Case]:
    """The cases of the sets; share: of each measure only the first part of that size."""
    unknown = set(sets) - set(SETS)
    if unknown:
        raise ValueError(f"no set called {', '.join(sorted(unknown))}; there is {', '.join(SETS)}")
    if not 0 < share <= 1:
        raise ValueError(f"share is between 0 and 1, not {share}")
    found: dict[tuple[str, str], list[Case]] = {}
    for name in sets:
        for case in {"patterns": patterns, "unseen": unseen, "natural": natural}[name]():
            found.setdefault((case.set, case.measure), []).append(case)
    kept = []
    for group in found.values():
        tasks = list(dict.fromkeys(case.task or case.id for case in group))
        wanted = set(tasks[: max(1, round(share * len(tasks)))])
        kept += [case for case in group if (case.task or case.id) in wanted]
    return kept
