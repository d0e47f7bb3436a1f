"""What a skill returns, and the few ways to build one. Messages are OpenAI's chat messages."""

import json
import random
from dataclasses import dataclass, field


@dataclass
class Conversation:
    skill: str
    messages: list[dict]
    tools: list[dict] = field(default_factory=list)


def user(text: str) -> dict:
    return {"role": "user", "content": text}


def answer(text: str) -> dict:
    return {"role": "assistant", "content": text}


def call(name: str, **arguments) -> dict:
    """An assistant's turn that calls one tool, its arguments as JSON text in OpenAI's form."""
    text = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
    function = {"name": name, "arguments": text}
    return {"role": "assistant", "content": None, "tool_calls": [{"function": function}]}


def result(content) -> dict:
    """A tool's answer: text as it is, anything else as JSON."""
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return {"role": "tool", "content": text}


SYSTEM_TEXTS = [
    "You are a helpful assistant.",
    "You are a home assistant.",
    "You are edge-slm, a small assistant that runs on this machine.",
    "You help customers of a shop.",
    "You are a careful agent. Use the tools when they are needed.",
    "Answer briefly.",
    "You are an agent. Do one step at a time and use the tools.",
    "Be brief and friendly.",
    "You work at the service desk.",
    "You are a support agent for an online shop.",
]


def system(rng: random.Random) -> list[dict]:
    """No system text in two conversations of five, else one of a few."""
    return [] if rng.random() < 0.4 else [{"role": "system", "content": rng.choice(SYSTEM_TEXTS)}]
