"""Cases put to a model through an OpenAI-compatible endpoint: greedy, four at a time.

Two ways of decoding. "constrained" is the endpoint's own: llama.cpp's server holds a call to the
tools' schemas by a grammar from `<tool_call>` on. "free" is what the model says by itself: the same
prompt, no grammar, its text parsed here. Only llama.cpp's server offers it (with `tool_choice`
"none" it still shows the tools); elsewhere there is "constrained" alone.
"""

import json
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import jsonschema
import openai

from slm.exam.cases import Case

MAX_TOKENS = 320
CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|$)", re.S)


@dataclass
class Reply:
    """A model's turn: its text, its calls, and how likely it found them.

    logprob: the sum over the turn's tokens, or None where the endpoint gives none. is_valid:
    whether every call is JSON that fits the schema of a tool that was shown; None without a call.
    error: why the endpoint refused the request, if it did.
    """

    said: str = ""
    calls: list[dict] = field(default_factory=list)
    logprob: float | None = None
    is_valid: bool | None = None
    error: str = ""


class ExamError(Exception):
    """The exam cannot go on; the text says what to do."""


def with_ids(messages: list[dict]) -> list[dict]:
    """Calls and their results as servers want them, joined by ids."""
    numbered, waiting, number = [], [], 0
    for message in messages:
        if "tool_calls" in message:
            made = []
            for call in message["tool_calls"]:
                number += 1
                made.append(
                    {"id": f"call_{number}", "type": "function", "function": call["function"]}
                )
                waiting.append(f"call_{number}")
            message = {**message, "tool_calls": made}
        elif message["role"] == "tool":
            message = {**message, "tool_call_id": waiting.pop(0) if waiting else "call_0"}
        numbered.append(message)
    return numbered


def ask(client: openai.OpenAI, model: str, case: Case, mode: str, logprobs: bool = True) -> Reply:
    """One case's reply. A request that the endpoint refuses is a reply with an error."""
    options: dict = {"logprobs": True} if logprobs else {}
    if case.tools:
        options["tools"] = case.tools
        if mode == "free":
            options["tool_choice"] = "none"
    try:
        answer = client.chat.completions.create(
            model=model,
            messages=with_ids(case.messages),
            temperature=0,
            max_tokens=MAX_TOKENS,
            **options,
        )
    except openai.APIConnectionError as error:
        raise ExamError(
            f"no answer from {client.base_url}: is the server still running?"
        ) from error
    except (openai.NotFoundError, openai.AuthenticationError) as error:
        raise ExamError(f"{client.base_url} refused the request: {error}") from error
    except openai.APIStatusError as error:
        if "logprobs" in options and "logprob" in str(error).lower():
            return ask(client, model, case, mode, logprobs=False)
        return Reply(error=str(error))
    choice = answer.choices[0]
    message = choice.message
    reply = Reply(said=message.content or "")
    if message.tool_calls:
        reply.calls = [
            {"name": c.function.name, "arguments": parsed(c.function.arguments)}
            for c in message.tool_calls
        ]
    elif CALL.search(reply.said):  # a call that the endpoint has not read is one all the same
        reply.calls = [call_of(text) for text in CALL.findall(reply.said)]
        reply.said = CALL.sub("", reply.said)
    if reply.calls:
        reply.is_valid = all(fits(call, case.tools) for call in reply.calls)
    if choice.logprobs and choice.logprobs.content:
        reply.logprob = sum(token.logprob for token in choice.logprobs.content)
    return reply


def parsed(text: str):
    try:
        return json.loads(text)
    except ValueError:
        return None


def call_of(text: str) -> dict:
    """`{"name": ..., "arguments": ...}` of a call's text; None for what cannot be read."""
    content = parsed(text)
    if not isinstance(content, dict):
        return {"name": None, "arguments": None}
    return {"name": content.get("name"), "arguments": content.get("arguments")}


def fits(call: dict, tools: list[dict]) -> bool:
    """Whether a call is one of a tool that is shown, its arguments as the schema wants them."""
    schema = next((t["function"] for t in tools if t["function"]["name"] == call["name"]), None)
    if schema is None or not isinstance(call["arguments"], dict):
        return False
    shape = {"additionalProperties": False, **schema.get("parameters", {"type": "object"})}
    return jsonschema.Draft202012Validator(shape).is_valid(call["arguments"])


def ask_all(
    client: openai.OpenAI, model: str, cases: Iterable[Case], mode: str, at_once: int = 4
) -> Iterator[tuple[Case, Reply]]:
    """The replies in the order of the cases.

    Raises ExamError when the endpoint refuses twenty in a row: it is not the cases then.
    """
    refused = 0
    with ThreadPoolExecutor(at_once) as pool:
        waiting = [(case, pool.submit(ask, client, model, case, mode)) for case in cases]
        try:
            for case, promised in waiting:
                reply = promised.result()
                refused = refused + 1 if reply.error else 0
                if refused == 20:
                    raise ExamError(f"{client.base_url} refuses everything: {reply.error}")
                yield case, reply
        finally:
            pool.shutdown(cancel_futures=True)
