"""Ask the exported model through its real runtime: GGUF, llama.cpp's server, the OpenAI client.

Every assistant turn of conversations that no training saw is predicted from the true turns before
it. A call counts when its name and every argument are exactly right. An answer counts when no call
was made and it holds the numbers of the true answer and no other; its words are not judged.
"""

import itertools
import json
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from tqdm import tqdm

from helpers import backends
from slm.corpus import SHARES, conversations

NUMBER = re.compile(r"\d+(?:\.\d+)?")


def cases(count: int, seed: int) -> list[tuple[str, list[dict], list[dict], dict]]:
    """(skill and kind, messages so far, tools, true turn), `count` conversations a skill."""
    found = []
    for skill in SHARES:
        if skill == "copying":
            continue
        for conversation in itertools.islice(conversations(seed, "exam", {skill: 1}), count):
            messages = conversation.messages
            for position, message in enumerate(messages):
                if message["role"] == "assistant":
                    kind = "call" if "tool_calls" in message else "answer"
                    found.append(
                        (f"{skill}: {kind}", messages[:position], conversation.tools, message)
                    )
    return found


def is_right(true: dict, said) -> bool:
    """Whether an OpenAI message says the same as the true turn."""
    calls = [(c.function.name, c.function.arguments) for c in said.tool_calls or []]
    if "tool_calls" in true:
        function = true["tool_calls"][0]["function"]
        if [name for name, _ in calls] != [function["name"]]:
            return False
        try:
            return json.loads(calls[0][1]) == json.loads(function["arguments"])
        except ValueError:  # cut off in the middle
            return False
    wanted, given = NUMBER.findall(true["content"]), NUMBER.findall(said.content or "")
    return not calls and set(wanted) == set(given)


def evaluate(count: int = 200, seed: int = 7, show: int = 0, model: str | None = None) -> dict:
    """Print and return the share of right turns by skill and kind of turn."""
    right, shown = defaultdict(list), defaultdict(int)
    with backends.start(model=model) as backend, ThreadPoolExecutor(4) as pool:
        client = backend.openai()

        def ask(case):
            options = {"tools": case[2]} if case[2] else {}
            reply = client.chat.completions.create(
                model=backend.model,
                messages=with_ids(case[1]),
                temperature=0,
                max_tokens=120,
                **options,
            )
            return case, reply.choices[0].message

        todo = cases(count, seed)
        for (label, messages, _, true), said in tqdm(
            pool.map(ask, todo), total=len(todo), disable=None
        ):
            right[label].append(is_right(true, said))
            if not right[label][-1] and shown[label] < show:
                shown[label] += 1
                asked = [m["content"] for m in messages if m["role"] in {"user", "tool"}]
                got = [c.function for c in said.tool_calls or []] or said.content
                tqdm.write(f"{label}\n  {asked}\n  true {true}\n  said {got}")
    rates = {label: sum(values) / len(values) for label, values in right.items()}
    for label, rate in rates.items():
        print(f"{label:28} {rate:6.1%} of {len(right[label])}")
    return rates


def with_ids(messages: list[dict]) -> list[dict]:
    """Calls and their results as servers want them, joined by ids."""
    numbered, number = [], 0
    for message in messages:
        if "tool_calls" in message:
            number += 1
            call = {"id": f"call_{number}", "type": "function", **message["tool_calls"][0]}
            message = {**message, "tool_calls": [call]}
        elif message["role"] == "tool":
            message = {**message, "tool_call_id": f"call_{number}"}
        numbered.append(message)
    return numbered
