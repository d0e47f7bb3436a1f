"""The corpus and the road from it to a model: seeded, disjoint, and the same text everywhere."""

import itertools
import json
import re
import urllib.request

import pytest

from slm import evaluate
from slm import tokenizer as text
from slm.corpus import SHARES, catalogue, conversations
from slm.corpus.conversation import Conversation, answer, call, result, user
from slm.corpus.patterns import HERE, SLOT, Patterns, fill, read

FILES = sorted(path.stem for path in HERE.glob("*.txt"))
SAMPLE = list(itertools.islice(conversations(seed=3), 3000))


def rendered(sample):
    return [text.render(c.messages, c.tools) for c in sample]


# ---- corpus


def test_the_same_seed_gives_the_same_conversations():
    again = list(itertools.islice(conversations(seed=3), 100))
    assert rendered(again) == rendered(SAMPLE[:100])
    assert rendered(itertools.islice(conversations(seed=4), 100)) != rendered(SAMPLE[:100])


def test_every_skill_has_its_share():
    counts = {skill: sum(c.skill == skill for c in SAMPLE) for skill in SHARES}
    for skill, share in SHARES.items():
        expected = len(SAMPLE) * share / sum(SHARES.values())
        assert 0.8 * expected < counts[skill] < 1.2 * expected


def test_few_conversations_are_drawn_twice():
    assert len(set(rendered(SAMPLE))) > 0.9 * len(SAMPLE)


@pytest.mark.parametrize("name", FILES)
def test_no_pattern_is_in_training_and_exam(name):
    train, exam = set(Patterns("train")[name]), set(Patterns("exam")[name])
    assert train
    assert exam
    assert not train & exam
    assert len(train | exam) == len(set(read(name)))


def test_no_question_of_the_exam_was_trained_on():
    asked = {m["content"] for c in SAMPLE for m in c.messages if m["role"] == "user"}
    exam = itertools.islice(conversations(seed=3, split="exam"), 500)
    wanted = [m["content"] for c in exam for m in c.messages if m["role"] == "user"]
    # A bare "Oslo." or "21 degrees" in answer to a question back may well be in both.
    assert not {content for content in wanted if len(content) > 25} & asked


def test_every_argument_is_supported_by_what_was_said():
    for conversation in SAMPLE:
        known = ""
        for message in conversation.messages:
            for made in message.get("tool_calls", []):
                for value in json.loads(made["function"]["arguments"]).values():
                    if value == "medium" and conversation.skill == "call_on_condition":
                        continue  # no priority was named
                    for word in str(value).lower().split():
                        assert word in known, (conversation.messages, value)
            known += " " + (message["content"] or "").lower() + " order is "


def test_calls_fit_the_schema_of_a_tool_that_is_shown():
    for conversation in SAMPLE:
        tools = {tool["function"]["name"]: tool["function"] for tool in conversation.tools}
        for message in conversation.messages:
            for made in message.get("tool_calls", []):
                schema = tools[made["function"]["name"]]["parameters"]
                arguments = json.loads(made["function"]["arguments"])
                assert set(schema["required"]) <= set(arguments) <= set(schema["properties"])
                for name, value in arguments.items():
                    assert value in schema["properties"][name].get("enum", [value])


def test_every_figure_of_an_answer_was_seen_before():
    number = re.compile(r"\d+(?:\.\d+)?")
    for conversation in SAMPLE:
        if conversation.skill == "no_call":
            continue
        seen = set()
        for message in conversation.messages:
            figures = set(number.findall(message["content"] or ""))
            if message["role"] == "assistant":
                assert figures <= seen, conversation.messages
            seen |= figures


def test_slots_are_filled_or_complained_about():
    assert not any(SLOT.search(one) for one in rendered(SAMPLE))
    with pytest.raises(KeyError):
        fill("{city} and {nowhere}", city="Oslo")
    with pytest.raises(ValueError, match="train"):
        Patterns("test")


def test_a_signature_becomes_a_schema():
    tool = catalogue.tool("move(to: north|south, steps?: integer) Move.")["function"]
    assert tool["parameters"]["properties"] == {
        "to": {"type": "string", "enum": ["north", "south"]},
        "steps": {"type": "integer"},
    }
    assert tool["parameters"]["required"] == ["to"]
    with pytest.raises(ValueError, match="not a tool signature"):
        catalogue.tool("move to the north")


# ---- tokenizer and template

HARD = [
    "Set the kitchen to 21.5 °C, order A-1042 (2026/11).",
    "São Paulo 東京 القاهرة 🙂  two  spaces\n\ttab and\r\nlines",
    'def f(x):\n    return {"a": x ** 2}  # <b>',
    "",
]


def test_any_text_comes_back():
    tokenizer = text.load()
    for hard in HARD:
        assert tokenizer.decode(tokenizer.encode(hard).ids) == hard


def test_digits_and_markers_are_single_tokens():
    tokenizer = text.load()
    assert tokenizer.get_vocab_size() <= 8192
    assert [t for t in tokenizer.encode("room 1042").tokens if t.isdigit()] == list("1042")
    for token in text.ADDED:
        assert tokenizer.encode(token).tokens == [token]
    digit_merges = [t for t in tokenizer.get_vocab() if re.search(r"\d", t) and len(t) > 1]
    assert digit_merges == []


def example() -> Conversation:
    messages = [
        {"role": "system", "content": "Be brief."},
        *(user(hard) for hard in HARD if hard),
        call("get_weather", city='São "Paulo"'),
        result({"sky": "rain", "temperature": -3.5}),
        answer("It rains."),
        user("And the hall to 20?"),
    ]
    tools = [catalogue.TOOLS[name] for name in ("get_weather", "plan_route", "list_tasks")]
    return Conversation("example", messages, tools)


def test_only_what_the_assistant_says_is_learnt():
    tokenizer = text.load()
    ids, spoken = text.encode(example(), tokenizer)
    said = tokenizer.decode([i for i, s in zip(ids, spoken, strict=True) if s], False)
    assert said == (
        '<tool_call>{"name":"get_weather","arguments":{"city":"São \\"Paulo\\""}}</tool_call>'
        "<|im_end|>It rains.<|im_end|>"
    )


def post(backend, path: str, content: dict) -> dict:
    url = backend.base_url.removesuffix("/v1") + path
    request = urllib.request.Request(
        url, json.dumps(content).encode("utf-8"), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.loads(response.read())


def test_the_server_renders_and_tokenizes_as_training_did(backend):
    conversation = example()
    messages = evaluate.with_ids(conversation.messages)
    asked = {"messages": messages, "tools": conversation.tools}
    prompt = post(backend, "/apply-template", asked)["prompt"]
    assert prompt == text.render(conversation.messages, conversation.tools, True)
    options = {"content": prompt, "parse_special": True, "add_special": False}
    assert post(backend, "/tokenize", options)["tokens"] == text.load().encode(prompt).ids


def test_an_empty_conversation_is_an_error():
    with pytest.raises(ValueError, match="no messages"):
        text.render([])


# ---- the model that ships


def test_the_shipped_tokenizer_and_template_are_those_trained_with():
    from helpers import model

    folder = model.folder("edge-slm")
    assert (folder / "chat_template.jinja").read_bytes() == text.TEMPLATE.read_bytes()
    shipped = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert shipped == json.loads(text.PATH.read_text(encoding="utf-8"))


def test_grading_tells_right_from_wrong():
    from openai.types.chat import ChatCompletionMessage

    def said(content=None, name=None, arguments="{}"):
        function = {"name": name, "arguments": arguments}
        calls = [{"id": "1", "type": "function", "function": function}] if name else None
        return ChatCompletionMessage.model_validate(
            {"role": "assistant", "content": content, "tool_calls": calls}
        )

    wanted = call("set_thermostat", room="hall", temperature=20)
    assert evaluate.is_right(
        wanted, said(name="set_thermostat", arguments='{"temperature": 20, "room": "hall"}')
    )
    assert not evaluate.is_right(wanted, said(name="set_thermostat", arguments='{"room": "hall"}'))
    assert not evaluate.is_right(wanted, said("The hall is at 20."))
    assert evaluate.is_right(answer("4 °C in Oslo"), said("Oslo has 4 degrees"))
    assert not evaluate.is_right(answer("4 °C in Oslo"), said("Oslo has 14 degrees"))
    assert not evaluate.is_right(answer("Hello"), said(name="get_weather"))


def test_the_shipped_model_does_what_the_lessons_need():
    rates = evaluate.evaluate(count=25, seed=11)
    calls = [rate for label, rate in rates.items() if label.endswith("call")]
    # A floor: the model's card has 71 % over 200 conversations a skill, and few cases vary much.
    assert sum(calls) / len(calls) > 0.6


# ---- training


@pytest.mark.needs("torch")
def test_training_learns_stops_and_resumes(tmp_path, monkeypatch):
    import torch

    from slm import train

    monkeypatch.setattr(train, "RUNS", tmp_path)
    small = train.Config(hidden_size=64, intermediate_size=64, num_hidden_layers=1)
    monkeypatch.setitem(train.CONFIGS, "tiny", small)
    monkeypatch.setattr(train, "CHUNK", 32)
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        train.train("tiny", train.Recipe(), resume=True)
    path = train.train("tiny", train.Recipe(minutes=1), compiled=False, chunks=4)
    first = torch.load(path, weights_only=True)["state"]
    path = train.train("tiny", train.Recipe(minutes=1), resume=True, compiled=False, chunks=12)
    second = torch.load(path, weights_only=True)["state"]
    assert (first["chunk"], second["chunk"]) == (4, 12)
    assert second["tokens"] > first["tokens"]
    log = (tmp_path / "tiny" / "log.csv").read_text(encoding="utf-8").splitlines()
    assert len(log) == 1 + second["chunk"]
    losses = [float(line.split(",")[4]) for line in log[1:] if line.split(",")[4]]
    assert losses[-1] < losses[0] - 0.5
    assert [p.name for p in tmp_path.rglob("*.partial")] == []
    with pytest.raises(ValueError, match="no model called"):
        train.train("gpt", train.Recipe())


@pytest.mark.needs("torch")
def test_an_exported_network_says_the_same_in_llama_cpp(tmp_path, monkeypatch, new_cache):
    import torch

    from helpers import backends, model
    from slm import export
    from slm.network import Config, Llama

    torch.manual_seed(0)
    config = Config(num_hidden_layers=2)
    network = Llama(config).half().float()  # what fp16 can hold
    with torch.no_grad():
        network.model.embed_tokens.weight.mul_(10)  # far apart logits: no ties to lose
    weights = {name: value.numpy() for name, value in network.half().state_dict().items()}
    network.float()
    monkeypatch.setattr(model, "MODELS", tmp_path)
    export.write(tmp_path / "random", config.as_dict(), weights)

    ids = text.load().encode("Set the hall to 21 degrees.").ids
    expected = list(ids)
    with torch.no_grad():
        for _ in range(16):
            expected.append(int(network(torch.tensor([expected]))[0, -1].argmax()))
    with backends.start("llama.cpp", model="random", quant="F16") as served:
        options = {
            "prompt": ids,
            "n_predict": 16,
            "temperature": 0,
            "return_tokens": True,
            "ignore_eos": True,
        }
        said = post(served, "/completion", options)["tokens"]
    assert said == expected[len(ids) :]
