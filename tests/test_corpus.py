"""The corpus: seeded, broad, its splits apart, nothing said that a conversation does not hold."""

import itertools
import json
import re
from importlib import import_module
from random import Random

import jsonschema
import pytest

from slm import tokenizer as text
from slm.__main__ import show
from slm.corpus import SHARES, conversations, speech, toolbook, truth, values
from slm.corpus.reading import SLOT, TEXT, Words, blocks, lines_of
from slm.corpus.toolbook import BOOK, COURSE, FAMILIES, HELD_OUT, TOOLS, Tool, bound
from slm.exam.grading import figures

SAMPLE = list(itertools.islice(conversations(seed=3), 4000))
LISTS = sorted(path.stem for path in (TEXT / "lists").glob("*.txt"))


def rendered(sample):
    return [text.render(c.messages, c.tools) for c in sample]


def calls_of(conversation):
    for message in conversation.messages:
        for made in message.get("tool_calls", []):
            yield made["function"]["name"], json.loads(made["function"]["arguments"])


# ---- what is drawn


def test_the_same_seed_gives_the_same_conversations():
    again = list(itertools.islice(conversations(seed=3), 100))
    assert rendered(again) == rendered(SAMPLE[:100])
    assert rendered(itertools.islice(conversations(seed=4), 100)) != rendered(SAMPLE[:100])


def test_every_skill_has_its_share():
    for skill, share in SHARES.items():
        expected = len(SAMPLE) * share / sum(SHARES.values())
        assert 0.7 * expected < sum(c.skill == skill for c in SAMPLE) < 1.3 * expected, skill


def test_more_than_two_million_conversations_can_be_drawn():
    """By the birthday problem: n draws with d repeats come from about n**2 / 2d, or from more."""
    drawn = itertools.islice(conversations(seed=12), 12_000)
    different = {json.dumps([c.messages, c.tools]) for c in drawn}
    repeats = max(1, 12_000 - len(different))
    assert 12_000**2 / (2 * repeats) > 2_000_000


def test_every_course_tool_is_called():
    called = {name for conversation in SAMPLE for name, _ in calls_of(conversation)}
    assert set(TOOLS) <= called


def test_at_least_one_conversation_in_eight_needs_no_call():
    talks = [c for c in SAMPLE if c.tools and not list(calls_of(c))]
    assert len(talks) > len(SAMPLE) / 8


def test_calls_fit_the_schema_of_a_tool_that_is_shown():
    for conversation in SAMPLE:
        tools = {tool["function"]["name"]: tool["function"] for tool in conversation.tools}
        assert len(tools) == len(conversation.tools)
        for name, arguments in calls_of(conversation):
            schema = tools[name].get("parameters", {"type": "object"})
            jsonschema.validate(arguments, {"additionalProperties": False, **schema})
            order = [key for key in schema.get("properties", {}) if key in arguments]
            assert list(arguments) == order


def test_every_text_argument_was_said():
    def flat(content: str) -> str:
        return " ".join(content.casefold().split())

    for conversation in SAMPLE:
        known = ""
        for message in conversation.messages:
            for made in message.get("tool_calls", []):
                schemas = {t["function"]["name"]: t["function"] for t in conversation.tools}
                schema = schemas[made["function"]["name"]].get("parameters", {})
                for key, value in json.loads(made["function"]["arguments"]).items():
                    free = "enum" not in schema["properties"][key]
                    if isinstance(value, str) and free and conversation.skill != "chains":
                        assert flat(value).rstrip(".") in known, (value, conversation.messages)
            known += " " + flat(message["content"] or "")


def test_every_figure_of_an_answer_was_seen_before():
    for conversation in SAMPLE:
        if conversation.skill in {"no_call", "copying"}:
            continue
        seen = set()
        for message in conversation.messages:
            content = message["content"] or ""
            if message["role"] == "assistant":
                spoken = {
                    str(n) for n in range(100) if values.in_words(n) in known_words(conversation)
                }
                assert figures(content) <= seen | spoken, conversation.messages
            seen |= figures(content)
            for made in message.get("tool_calls", []):
                seen |= figures(made["function"]["arguments"])


def known_words(conversation) -> set[str]:
    said = " ".join(m["content"] or "" for m in conversation.messages).lower()
    return set(re.findall(r"[a-z-]+", said))


def test_no_slot_is_left():
    for conversation in SAMPLE:
        for message in conversation.messages:
            content = message["content"] or ""
            assert not re.search(r"\{[a-z_]+\d?\}", content), content
            assert "NOUN" not in content
            assert not re.search(r"\s@\w+=", content), content


# ---- the text it is drawn from


@pytest.mark.parametrize("name", LISTS)
def test_no_entry_of_a_list_is_in_training_and_exam(name):
    train, exam = set(Words("train")[name]), set(Words("exam")[name])
    assert train
    assert exam
    assert not train & exam
    assert train | exam == set(lines_of(TEXT / "lists" / f"{name}.txt"))
    assert Words("train") is Words("train")


def all_tools() -> list[Tool]:
    return [tool for family in FAMILIES.values() for tool in family.values()]


def test_the_course_tools_are_all_there_with_forty_patterns_and_more():
    assert len(TOOLS) == 49
    for family in COURSE:
        for tool in FAMILIES[family].values():
            assert len(tool.lines(Words("train"), "request")) >= 40, tool.name


@pytest.mark.parametrize("split", ["train", "exam"])
def test_requests_hold_the_required_arguments(split):
    words = Words(split)
    for tool in BOOK.values():
        for line in tool.lines(words, "request"):
            pattern, fixed = bound(line)
            slots = SLOT.findall(pattern)
            given = set(slots) | set(fixed)
            assert set(tool.required) <= given, (tool.name, line)
            assert fixed.keys() <= tool.properties.keys(), (tool.name, line)
            for slot in set(slots) - tool.properties.keys():
                toolbook.slot_value(Random(0), words, slot)  # KeyError for an unknown kind


def test_every_argument_has_values():
    words = Words("train")
    for tool in BOOK.values():
        for name, schema in tool.properties.items():
            if schema["type"] == "boolean":
                continue
            if tool.kinds.get(name) == "unit":
                continue
            _, meant = tool.value(Random(1), words, name)
            jsonschema.validate(meant, schema)


def test_no_training_line_is_in_the_exam():
    """The exam's lines, of all files and sections, and the held-out families."""
    train, exam = Words("train"), Words("exam")
    for tool in all_tools():
        for section, lines in tool.block.sections.items():
            if len(lines) > 1:
                assert not set(train.of(lines)) & set(exam.of(lines)), (tool.name, section)
    assert not {t.name for t in all_tools()} & {n for f in HELD_OUT.values() for n in f}
    assert not FAMILIES.keys() & HELD_OUT.keys()


def test_slots_without_a_value_are_complained_about():
    assert speech.fill("{city} is nice", {"city": "Oslo"}) == "Oslo is nice"
    with pytest.raises(KeyError):
        speech.fill("{city} and {nowhere}", {"city": "Oslo"})
    with pytest.raises(ValueError, match="train"):
        Words("test")
    with pytest.raises(ValueError, match="not a tool signature"):
        toolbook.schema("move to the north")


def test_blocks_are_read(tmp_path):
    path = tmp_path / "blocks.txt"
    path.write_text(
        "# a comment\n== one (x)\nkinds: a=id\n[request]\nA {a}\n\n[b] = c.d\n== two\n", "utf-8"
    )
    one, two = blocks(path)
    assert (one.head, two.head) == ("one (x)", "two")
    assert one.lines == ["kinds: a=id"]
    assert one.sections == {"request": ["A {a}"], "b": ["= c.d"]}


def test_a_signature_becomes_a_schema():
    parameters = toolbook.schema("move(to: north|south, steps?: integer) Move.")["function"][
        "parameters"
    ]
    assert parameters["properties"] == {
        "to": {"type": "string", "enum": ["north", "south"]},
        "steps": {"type": "integer"},
    }
    assert parameters["required"] == ["to"]


@pytest.mark.parametrize("kind", values.KINDS)
def test_a_kind_is_an_open_set(kind):
    rng, words = Random(5), Words("train")
    made = {values.make(rng, words, kind)[0] for _ in range(300)}
    few = {
        "state",
        "weekday",
        "small",
        "sky",
        "status",
        "cold",
        "unit",
        "mild",
        "warm",
        "temp",
        "percent",
    }
    few |= {"percent", "colour", "language", "ticker", "year", "since", "duration", "integer"}
    assert len(made) > (5 if kind in few else 100), kind


def test_sums_and_units_are_right():
    assert truth.evaluate("(2 + 3) * 4 - 1") == 19
    assert truth.convert(10, "km", "miles") == pytest.approx(6.2137, abs=1e-4)
    assert truth.convert(0, "°C", "kelvin") == pytest.approx(273.15)
    units = [unit for line in values.UNITS for unit in line.split(";")]
    assert all(unit.lower() in truth.LOWER for unit in units)
    rng, words = Random(2), Words("train")
    for _ in range(200):
        truth.evaluate(values.expression(rng, words))


@pytest.mark.parametrize("skill", SHARES)
@pytest.mark.parametrize("split", ["train", "exam"])
def test_every_skill_draws_from_both_splits(skill, split):
    rng, words = Random(8), Words(split)
    generate = import_module(f"slm.corpus.skills.{skill}").generate
    drawn = [generate(rng, words) for _ in range(200)]
    assert all(c.skill == skill and c.messages[-1]["role"] == "assistant" for c in drawn)


def test_the_command_prints_conversations_and_the_speed(capsys):
    show(2, 1, "routing")
    shown = capsys.readouterr().out
    assert shown.count("<|im_start|>system") == 2
    # The bar is 500 with all skills; a busy machine may be slow, a broken cache is far slower.
    assert int(re.search(r"(\d+) conversations a second", shown)[1]) > 100
    with pytest.raises(SystemExit, match="no skill called 'x'"):
        show(2, 1, "x")
