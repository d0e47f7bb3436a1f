"""What a skill returns, and the few ways to build one. Messages are OpenAI's chat messages."""

import json
import random
from dataclasses import dataclass, field

from slm.corpus.reading import Words


@dataclass
class Conversation:
    skill: str
    messages: list[dict]
    tools: list[dict] = field(default_factory=list)


def user(text: str) -> dict:
    return {"role": "user", "content": text}


def answer(text: str, grade: str = "", accept: list[str] | None = None) -> dict:
    """What the assistant says, and how the exam judges it: see `slm.exam.grading`.

    accept: texts, or words, of which a right answer has something; the grade says what.
    """
    message = {"role": "assistant", "content": text}
    if grade:
        message["grade"] = {"kind": grade, "accept": accept or [text]}
    return message


def function(name: str, arguments: dict) -> dict:
    """A call to be put into `calls`; `slm.corpus.showing` may still rename it."""
    return {"name": name, "arguments": arguments}


def calls(*functions: dict) -> dict:
    """An assistant's turn that calls one tool or several at once."""
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"function": f} for f in functions],
    }


def call(tool: str, /, **arguments) -> dict:
    """An assistant's turn that calls one tool."""
    return calls(function(tool, arguments))


def as_json(content) -> str:
    """Compact JSON, as the model writes it."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def result(content) -> dict:
    """A tool's answer: text as it is, anything else as JSON."""
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return {"role": "tool", "content": text}


def system(rng: random.Random, words: Words) -> list[dict]:
    """No system text in two conversations of five, else a general one or that of some job."""
    dice = rng.random()
    if dice < 0.4:
        return []
    text = rng.choice(GENERAL if dice < 0.7 else words["system_texts"])
    return [{"role": "system", "content": text}]


GENERAL = [
    "You are a helpful assistant.",
    "You are a careful agent. Use the tools when they are needed.",
    "You are edge-slm, a small assistant that runs on this machine.",
    "Answer briefly.",
    "Be brief and friendly.",
    "You are an agent. Do one step at a time and use the tools.",
    "Help the user with the tools you have. If none fits, say so.",
    "You are an assistant with tools.",
    "You are a polite assistant. Keep answers short.",
    "Use a tool if one fits, ask if something is missing, otherwise answer.",
]
