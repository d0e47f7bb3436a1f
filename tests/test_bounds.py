"""Strange input: the model and its server answer within bounds, or say what is wrong."""

import openai
import pytest
from conftest import ROOT

STRANGE = {
    "numbers": "Add " + "9" * 400 + " to -1e308 and convert 0.000000000000000001 km to nm",
    "emoji": "🙂🚀👩‍👩‍👧‍👦 remind me 🎂🎂🎂 at 🕔",
    "right-to-left": "ما هو الطقس في القاهرة؟ מה מזג האוויר בחיפה",
    "code": "def f(x):\n\treturn {'a': [x, \"</tool_call>\"]} # <|im_end|> \\ \x00 %s {{ }}",
    "one letter": "a",
    "spaces": " \n\t " * 50,
    "no words": "".join(chr(code) for code in range(0x2500, 0x2600)),
}
MARKERS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]


def tool(number: int) -> dict:
    properties = {"name": {"type": "string"}, "count": {"type": "integer"}}
    return {
        "type": "function",
        "function": {
            "name": f"do_thing_{number}",
            "description": f"Do thing number {number}.",
            "parameters": {"type": "object", "properties": properties, "required": ["name"]},
        },
    }


def ask(backend, text: str, tools: int = 0):
    options = {"tools": [tool(number) for number in range(tools)]} if tools else {}
    return backend.openai().chat.completions.create(
        model=backend.model,
        messages=[{"role": "user", "content": text}],
        max_tokens=96,
        temperature=0,
        **options,
    )


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("tools", [0, 3])
def test_strange_text_gets_a_bounded_answer(backend, kind, tools):
    answer = ask(backend, STRANGE[kind], tools)
    assert answer.usage.completion_tokens <= 96
    assert answer.choices[0].finish_reason in {"stop", "length", "tool_calls"}
    text = answer.choices[0].message.content or ""
    assert not any(marker in text for marker in MARKERS)


def test_fifty_tools_are_read(backend):
    answer = ask(backend, "Do thing 31 with the name Ada, please.", tools=50)
    assert answer.usage.prompt_tokens > 800
    for call in answer.choices[0].message.tool_calls or []:
        assert call.function.name in {f"do_thing_{number}" for number in range(50)}


def test_a_prompt_beyond_the_context_is_refused_with_the_reason(backend):
    with pytest.raises(openai.BadRequestError, match="context"):
        ask(backend, "the weather in Oslo and " * 2000)
    assert ask(backend, "hello").choices[0].message.content  # and the server still answers


def test_no_message_is_refused_and_an_empty_one_is_answered(backend):
    with pytest.raises(openai.APIStatusError):
        backend.openai().chat.completions.create(model=backend.model, messages=[])
    assert ask(backend, "").usage.completion_tokens <= 96


def test_models_stay_small():
    weights = [path for path in (ROOT / "models").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in weights) < 60_000_000
