"""Tokenizer and template: the same text and the same token ids everywhere, and clear refusals."""

import json
import re
import shutil
import urllib.error

import numpy as np
import pytest
from conftest import post

from helpers import backends, model
from helpers.serving.engine import ServingError
from helpers.serving.text import Text
from slm import export
from slm import tokenizer as text
from slm.corpus.conversation import (
    Conversation,
    answer,
    as_json,
    call,
    calls,
    function,
    result,
    user,
)
from slm.corpus.toolbook import TOOLS
from slm.exam.asking import with_ids

HARD = [
    "Set the kitchen to 21.5 °C, order A-1042 (2026/11).",
    "São Paulo 東京 القاهرة 🙂  two  spaces\n\ttab and\r\nlines",
    'def f(x):\n    return {"a": x ** 2}  # <b>',
    "שלום עולם, הזמנה A-7 \u200f(דחוף)",
    "👩‍👩‍👧 \u0000 \ufffd é vs é",
    "",
]


def test_any_text_comes_back():
    tokenizer = text.load()
    for hard in HARD:
        assert tokenizer.decode(tokenizer.encode(hard).ids) == hard


@pytest.mark.parametrize("value", ["Oslo", "Drauberg & Sons", "kx-20-81", "l'été", "№ 7 Ünal"])
def test_a_value_is_the_same_tokens_wherever_it_stands(value):
    """Filling in an argument is then nothing but copying."""
    tokenizer = text.load()
    alone = tokenizer.encode(value).ids
    for around in ("Is it raining in {}?", '{{"city":"{}"}}', "{}, please", "\n{}\n"):
        ids = tokenizer.encode(around.format(value)).ids
        spots = [ids[at : at + len(alone)] for at in range(len(ids))]
        assert alone in spots, around


def test_digits_spaces_and_markers_are_single_tokens():
    tokenizer = text.load()
    assert tokenizer.get_vocab_size() <= 8192
    assert [t for t in tokenizer.encode("room 1042").tokens if t.isdigit()] == list("1042")
    for token in text.ADDED:
        assert tokenizer.encode(token).tokens == [token]
    assert [t for t in tokenizer.get_vocab() if "Ġ" in t and len(t) > 1] == []  # Ġ is a space
    assert [t for t in tokenizer.get_vocab() if re.search(r"\d", t) and len(t) > 1] == []


NESTED = {
    "type": "function",
    "function": {
        "name": "ship",
        "description": "Ship it.",
        "parameters": {
            "type": "object",
            "properties": {
                "address": {
                    "type": "object",
                    "description": "Where to",
                    "properties": {
                        "street": {"type": "string", "description": "Street and number"},
                        "zip": {"type": "string"},
                    },
                    "required": ["street"],
                },
                "items": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"sku": {"type": "string", "description": "Its code"}},
                        "required": ["sku"],
                    },
                },
                "mode": {"type": "string", "enum": ["air", "sea"]},
                "level": {"type": "integer", "enum": [1, 2]},
                "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
                "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
                "gate": {"type": ["integer", "null"]},
                "sender": {"$ref": "#/$defs/Person"},
                "extra": {},
                "free": {"type": "object"},
            },
            "required": ["address", "items"],
            "$defs": {
                "Person": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "boss": {"$ref": "#/$defs/Person"}},
                    "required": ["name"],
                }
            },
        },
    },
}
EMPTY = {
    "type": "function",
    "function": {"name": "ping", "parameters": {"type": "object", "properties": {}}},
}
BARE = {"type": "function", "function": {"name": "pong", "description": "Pong."}}


def test_a_schema_survives_as_a_short_signature():
    shown = text.render([user("hi")], [NESTED, EMPTY, BARE])
    boss = "{name: string, boss?: {name: string, boss?: {name: string, boss?: Person}}}"
    assert shown.startswith(
        "<|im_start|>system\nTools:\n"
        "ship(address: {street: string, zip?: string}, items: {sku: string}[], mode?: air|sea, "
        "level?: integer 1|2, tags?: (a|b)[], note?: string|null, gate?: integer|null, "
        f"sender?: {{name: string, boss?: {boss}}}, extra?: any, free?: object) Ship it.\n"
        "  address: Where to\n  address.street: Street and number\n  items.sku: Its code\n"
        "ping()\npong() Pong.<|im_end|>\n"
    )


def test_optional_arguments_and_choices_are_shown():
    shown = text.render([user("hi")], [TOOLS["plan_route"], TOOLS["move_robot"]])
    assert "plan_route(origin: string, destination: string, avoid_tolls?: boolean, " in shown
    assert "move_robot(direction: north|south|east|west)" in shown


def test_the_system_text_is_kept_and_several_are_joined():
    messages = [{"role": "system", "content": "Be brief."}, user("hi")]
    later = [*messages, {"role": "developer", "content": "In French."}, user("again")]
    assert text.render(messages).startswith(
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user"
    )
    assert text.render(later).startswith("<|im_start|>system\nBe brief.\nIn French.<|im_end|>\n")


def test_several_calls_in_one_turn_and_their_results():
    two = calls(function("ping", "{}"), function("pong", as_json({"é": 'a "b"'})))
    shown = text.render([user("both"), two, result("1"), result("2")], [EMPTY], True)
    assert shown.endswith(
        '<|im_start|>assistant\n<tool_call>{"name":"ping","arguments":{}}</tool_call>'
        '<tool_call>{"name":"pong","arguments":{"é":"a \\"b\\""}}</tool_call><|im_end|>\n'
        "<|im_start|>tool\n1<|im_end|>\n<|im_start|>tool\n2<|im_end|>\n<|im_start|>assistant\n"
    )


def test_bad_conversations_are_refused_with_the_reason():
    with pytest.raises(ValueError, match="no messages"):
        text.render([])
    with pytest.raises(ValueError, match="unknown role alien"):
        text.render([{"role": "alien", "content": "hi"}])


def test_fifty_tools_and_any_script_are_rendered():
    many = [
        {"type": "function", "function": {"name": f"tool_{n}", "description": "Do."}}
        for n in range(50)
    ]
    shown = text.render([user(hard) for hard in HARD], many)
    assert shown.count("\ntool_") == 50
    assert all(hard in shown for hard in HARD)


def example() -> Conversation:
    messages = [
        {"role": "system", "content": "Be brief."},
        *(user(hard) for hard in HARD if hard and "\0" not in hard),
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        calls(
            function("get_weather", as_json({"city": 'São "Paulo"'})),
            function(
                "plan_route", as_json({"origin": "A", "destination": "B", "avoid_tolls": True})
            ),
        ),
        result({"sky": "rain", "temperature": -3.5}),
        result("ok"),
        answer("It rains."),
        {
            **call("list_tasks"),
            "tool_calls": [{"function": function("list_tasks", {"a": [1, "é"]})}],
        },
        result("none"),
        answer("Nothing to do."),
        user("And the hall to 20?"),
    ]
    tools = [TOOLS[name] for name in ("get_weather", "plan_route", "list_tasks")]
    return Conversation("example", messages, [*tools, NESTED, EMPTY, BARE])


def test_only_what_the_assistant_says_is_learnt():
    tokenizer = text.load()
    ids, spoken = text.encode(example(), tokenizer)
    said = tokenizer.decode([i for i, s in zip(ids, spoken, strict=True) if s], False)
    assert said == (
        '<tool_call>{"name":"get_weather","arguments":{"city":"São \\"Paulo\\""}}</tool_call>'
        '<tool_call>{"name":"plan_route","arguments":{"origin":"A","destination":"B","avoid_tolls":true}}'
        "</tool_call><|im_end|>It rains.<|im_end|>"
        '<tool_call>{"name":"list_tasks","arguments":{"a":[1,"é"]}}</tool_call><|im_end|>'
        "Nothing to do.<|im_end|>"
    )


# ---- through the runtimes: a folder with this tokenizer and template, and weights of no meaning

SIZES = {
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 2048,
    "rope_theta": 10_000.0,
    "rms_norm_eps": 1e-5,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(0)
    hidden, vocabulary = SIZES["hidden_size"], text.load().get_vocab_size()
    shapes = {
        "model.embed_tokens.weight": (vocabulary, hidden),
        "model.norm.weight": (hidden,),
        "model.layers.0.input_layernorm.weight": (hidden,),
        "model.layers.0.post_attention_layernorm.weight": (hidden,),
        "model.layers.0.self_attn.q_proj.weight": (hidden, hidden),
        "model.layers.0.self_attn.k_proj.weight": (hidden // 2, hidden),
        "model.layers.0.self_attn.v_proj.weight": (hidden // 2, hidden),
        "model.layers.0.self_attn.o_proj.weight": (hidden, hidden),
        "model.layers.0.mlp.gate_proj.weight": (hidden, hidden),
        "model.layers.0.mlp.up_proj.weight": (hidden, hidden),
        "model.layers.0.mlp.down_proj.weight": (hidden, hidden),
    }
    weights = {
        name: rng.normal(0, 0.02, shape).astype(np.float16) for name, shape in shapes.items()
    }
    path = tmp_path_factory.mktemp("models") / "blank"
    return export.write(path, {"vocab_size": vocabulary, **SIZES}, weights)


@pytest.fixture(scope="module")
def blank(folder, tmp_path_factory):
    """The folder, served by llama.cpp."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "MODELS", folder.parent)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        started = backends.start("llama.cpp", model="blank", quant="F16")
    with started:
        yield started


def test_llama_cpp_renders_and_tokenizes_as_training_did(blank):
    conversation = example()
    asked = {"messages": with_ids(conversation.messages), "tools": conversation.tools}
    prompt = post(blank, "/apply-template", asked)["prompt"]
    assert prompt == text.render(conversation.messages, conversation.tools, True)
    options = {"content": prompt, "parse_special": True, "add_special": False}
    ids = post(blank, "/tokenize", options)["tokens"]
    assert ids == text.load().encode(prompt).ids
    assert post(blank, "/detokenize", {"tokens": ids})["content"] == prompt


@pytest.mark.needs("transformers")
def test_transformers_renders_and_tokenizes_as_training_did(folder):
    from transformers import AutoTokenizer

    conversation = example()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    options = {"tools": conversation.tools, "add_generation_prompt": True}
    messages = with_ids(conversation.messages)
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, **options)
    assert prompt == text.render(conversation.messages, conversation.tools, True)
    ids = tokenizer.apply_chat_template(messages, return_dict=True, **options)["input_ids"]
    assert ids == text.load().encode(prompt).ids
    assert [tokenizer.decode([i]) for i in tokenizer.encode("<tool_call>")] == ["<tool_call>"]


@pytest.mark.parametrize("token", ["<tool_call>", "</tool_call>"])
def test_a_server_keeps_the_markers_that_readers_need(blank, token):
    number = text.load().token_to_id(token)
    options = {"prompt": "x", "n_predict": 3, "logit_bias": [[number, 100]], "temperature": 0}
    assert post(blank, "/completion", options)["content"] == token * 3


@pytest.mark.parametrize(
    ("messages", "reason"),
    [([], "no messages"), ([{"role": "alien", "content": "hi"}], "unknown role alien")],
)
def test_a_server_refuses_bad_conversations_with_the_reason(blank, messages, reason):
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(blank, "/v1/chat/completions", {"messages": messages})
    assert refused.value.code == 400
    assert reason in refused.value.read().decode("utf-8")


def test_a_prompt_beyond_the_context_is_refused(blank):
    asked = {"messages": [user("word " * 4000)]}
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(blank, "/v1/chat/completions", asked)
    assert refused.value.code == 400
    assert "context" in refused.value.read().decode("utf-8")


def test_the_shipped_model_has_this_template():
    shipped = (model.MODELS / "edge-slm" / "chat_template.jinja").read_bytes()
    assert shipped == text.TEMPLATE.read_bytes()


# ---- folders of other models


def other_folder(path, settings: dict) -> Text:
    shutil.copy(model.folder() / "tokenizer.json", path)
    (path / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return Text(path)


@pytest.mark.parametrize("named", [False, True])
def test_a_template_may_stand_in_the_tokenizers_settings(tmp_path, named):
    template = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"
    several = [{"name": "tool_use", "template": "?"}, {"name": "default", "template": template}]
    settings = {"chat_template": several if named else template, "bos_token": "<s>"}
    folder = other_folder(tmp_path, settings)
    assert folder.render([{"role": "user", "content": "Hello!"}]) == "<s>Hello!"


def test_a_folder_without_a_template_can_complete_and_not_chat(tmp_path):
    folder = other_folder(tmp_path, {})
    assert folder.encode("Hello!")
    with pytest.raises(ServingError, match="no chat template"):
        folder.render([{"role": "user", "content": "Hello!"}])
