"""A GGUF file as an engine: llama.cpp's server in a child process, which is asked over HTTP.

Conversations are left to llama.cpp (the model's template, tool calls, thoughts), so that any model
of the learner's works. An answer that is held to a JSON Schema is asked for as the continuation of
a prompt: only there llama.cpp keeps to the whole schema (llguidance), and not to what its grammars
can say.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import psutil

from helpers.backends import llama_cpp
from helpers.backends.child import Child
from helpers.backends.errors import BackendError
from helpers.serving.batched import constraint
from helpers.serving.engine import (
    Ask,
    Call,
    Delta,
    Logprob,
    Sampling,
    ServingError,
    Unsupported,
    Usage,
)
from helpers.serving.gotemplate import jinja
from helpers.serving.grammar import COMPACT, lark
from helpers.serving.text import BEGIN, CallParser

CAN = "json_schema tools logprobs seed penalties repeat_penalty min_p embeddings"


@dataclass(frozen=True, kw_only=True)
class LlamaSampling(Sampling):
    """What llama.cpp knows besides."""

    typical_p: float = 1.0
    repeat_last_n: int = 64  # how many tokens back the penalties look


@dataclass(frozen=True, kw_only=True)
class LlamaAsk(Ask):
    """What llama.cpp can be asked besides."""

    think: bool | str | None = None  # for models that think first; None: as their template has it
    before: tuple[int, ...] | None = None  # tokens that stand before the prompt or conversation
    remember: bool = False  # whether the last delta gives the tokens of the whole as `context`
    forget: bool = False  # whether old messages are left out when all do not fit


@dataclass
class LlamaDelta(Delta):
    """What llama.cpp says besides."""

    thinking: str = ""
    context: list[int] | None = None


class Llama:
    """An `Engine`, up when the constructor returns, which blocks: call it in a thread.

    path: of the GGUF file. model: what to call it. slots: answers written at once, each with
    `context` tokens. template: in Go's language, in place of the model's own. embeds: the model
    was made for embeddings alone. Raises BackendError when llama.cpp does not load it.
    """

    name = "llama.cpp"

    def __init__(
        self,
        path: Path,
        model: str,
        slots: int = 4,
        context: int = 2048,
        threads: int | None = None,
        template: str = "",
        embeds: bool = False,
        timeout: float = 120,
    ):
        self.model, self.slots = model, slots
        self.can = frozenset({"embeddings"} if embeds else CAN.split())
        self._arguments = (path, model, slots, context, threads, timeout)
        self._go = bool(template)
        more = {"template": jinja(template)} if template else {}
        self._child = self._start(vectors="own" if embeds else "", **more)
        self._url = self._child.ready["url"]
        # The second one computes embeddings. One server could do both, but it would then compute
        # all logits of each prompt, too.
        self._second: Child | None = self._child if embeds else None
        self._starting = asyncio.Lock()
        self._schemas: set[bytes] = set()  # those that were seen to hold
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self._http = httpx.AsyncClient(trust_env=False, limits=limits, timeout=None)
        try:
            properties = httpx.get(self._url + "/props", trust_env=False, timeout=60).json()
        except httpx.HTTPError as error:
            self._child.close()
            raise BackendError(f"llama.cpp does not answer: {error}") from error
        self.context: int = properties["default_generation_settings"]["n_ctx"]
        self._hermes = BEGIN in properties["chat_template"]

    def _start(self, **more: str) -> Child:
        return llama_cpp.child(*self._arguments, **more)

    # ---- what an engine does

    async def answer(self, ask: Ask) -> AsyncIterator[Delta]:
        if "tools" not in self.can:
            raise Unsupported(f"{self.model} computes embeddings and writes no answers")
        ask = LlamaAsk(**vars(ask))  # what is asked besides is optional
        if ask.forget and ask.messages:
            ask = await self._fitting(ask)
        path, body = await self._request(ask)
        reading, said = _Reading(ask.sampling.logprobs, ask.parallel), ""
        parser = CallParser() if self._forced(ask) else None
        async with contextlib.aclosing(self._events(path, body)) as events:
            async for several in events:
                delta = LlamaDelta()
                for event in several:
                    reading.add(event, delta)
                said += delta.text
                if parser:
                    delta.text, delta.calls = parser.feed(delta.text)
                    if delta.finish:
                        delta.text += parser.end()
                        if parser.found and delta.finish == "stop":
                            delta.finish = "tool_calls"
                if delta.finish and ask.remember:
                    delta.context = await self._whole(ask, said)
                if delta.finish or delta.text or delta.thinking or delta.calls or delta.logprobs:
                    yield delta
                if delta.finish:
                    return
        raise ServingError("llama.cpp ended its answer before the end", status=500)

    async def embed(
        self, texts: list[str], truncate: bool = False
    ) -> tuple[list[list[float]], int]:
        """A unit vector for each text, and the tokens read. truncate: cut what is too long."""
        async with self._starting:
            if self._second is None:
                self._second = await asyncio.to_thread(self._start, vectors="mean")
        inputs = [await self._tokens(text) for text in texts]
        if not all(inputs):
            raise ServingError("input: an empty text has no embedding")
        if max(map(len, inputs)) > self.context:
            if not truncate:
                raise ServingError(
                    "the input length exceeds the context length", code="context_length_exceeded"
                )
            inputs = [tokens[: self.context] for tokens in inputs]
        url = self._second.ready["url"] + "/v1/embeddings"
        content = await self._post(url, {"input": inputs})
        vectors = [one["embedding"] for one in sorted(content["data"], key=lambda x: x["index"])]
        return vectors, content["usage"]["prompt_tokens"]

    def tokenize(self, text: str) -> list[int]:
        body = _json({"content": text, "parse_special": True})
        response = httpx.post(self._url + "/tokenize", content=body, trust_env=False, timeout=60)
        return response.raise_for_status().json()["tokens"]

    def healthy(self) -> bool:
        return not any(child.ended() for child in self._children())

    def memory(self) -> int:
        """Bytes that its processes have in use."""
        total = 0
        for child in self._children():
            with contextlib.suppress(psutil.NoSuchProcess):
                total += child.memory()
        return total

    async def close(self) -> None:
        await self._http.aclose()
        for child in self._children():
            await asyncio.to_thread(child.close)

    def _children(self) -> set[Child]:
        return {self._child, self._second or self._child}

    # ---- what llama.cpp is asked

    async def _request(self, ask: LlamaAsk) -> tuple[str, dict]:
        """The path and the body of an ask."""
        sampling = LlamaSampling(**vars(ask.sampling))
        names = (
            "temperature top_p top_k min_p typical_p repeat_penalty repeat_last_n "
            "presence_penalty frequency_penalty ignore_eos"
        )
        body = {name: getattr(sampling, name) for name in names.split()} | {
            # In one piece, the end would be among the tokens whose probabilities are given.
            "stream": ask.stream or sampling.logprobs is not None,
            "n_predict": -1 if sampling.max_tokens is None else sampling.max_tokens,
            "seed": -1 if sampling.seed is None else sampling.seed,
            "stop": list(sampling.stop),
        }
        forced = self._forced(ask)
        if ask.messages is not None and ask.schema is None and ask.before is None and not forced:
            if sampling.logprobs is not None:
                body |= {"logprobs": True, "top_logprobs": max(1, sampling.logprobs)}
            return "/v1/chat/completions", body | self._conversation(ask)
        if sampling.logprobs is not None:
            body["n_probs"] = max(1, sampling.logprobs)
        if forced:
            body["grammar"] = "%llguidance {}\n" + lark(constraint(ask))
        if ask.schema is not None:
            await self._check(ask.schema)
            body["json_schema"] = {**ask.schema, "x-guidance": COMPACT}
        body["prompt"] = ask.prompt if ask.messages is None else await self._rendered(ask)
        if ask.before is not None:
            body["prompt"] = await self._after(ask.before, body["prompt"])
        if not body["prompt"]:
            raise ServingError("the prompt is empty: say something")
        return "/completion", body

    def _forced(self, ask: LlamaAsk) -> bool:
        """Whether a call is required in a form that is known here.

        llama.cpp lets a model talk before it, for as long as it likes.
        """
        wanted = bool(ask.messages and ask.tools) and ask.choice not in {"auto", "none"}
        return wanted and self._hermes and ask.before is None

    def _conversation(self, ask: LlamaAsk) -> dict:
        """The messages, and what else the template may look at."""
        body: dict = {"messages": ask.messages}
        tools, choice = ask.tools, ask.choice
        if choice not in {"auto", "none", "required"}:  # llama.cpp reads a name as "auto"
            tools = [tool for tool in tools if tool["function"]["name"] == choice]
            choice = "required"
        if tools and choice != "none":
            body |= {"tools": list(tools), "tool_choice": choice}
            body["parallel_tool_calls"] = ask.parallel
        if ask.think is not None:
            body["chat_template_kwargs"] = {"enable_thinking": bool(ask.think)}
            if isinstance(ask.think, str):
                body["chat_template_kwargs"]["reasoning_effort"] = ask.think
        return body

    async def _rendered(self, ask: LlamaAsk, **more) -> str:
        content = await self._post("/apply-template", self._conversation(ask) | more)
        return content["prompt"]

    async def _tokens(self, text: str, whole: bool = True) -> list[int]:
        """whole: with what the model has at the beginning of all it reads, if anything."""
        body = {"content": text, "parse_special": True, "add_special": whole}
        return (await self._post("/tokenize", body))["tokens"]

    async def _after(self, before: tuple[int, ...], text: str) -> list[int]:
        return [*before, *await self._tokens(text, whole=not before)]

    async def _whole(self, ask: LlamaAsk, said: str) -> list[int]:
        """The tokens of all that was read and said, the end of the turn included."""
        if ask.messages is None:
            text = ask.prompt + said
        elif self._go:  # such a template does not know how a turn ends
            text = await self._rendered(ask) + said
        else:
            answer = {"role": "assistant", "content": said}
            whole = replace(ask, messages=[*ask.messages, answer])
            text = await self._rendered(whole, add_generation_prompt=False)
        return await self._after(ask.before or (), text)

    async def _fitting(self, ask: LlamaAsk) -> LlamaAsk:
        """The ask without the oldest messages, the system's aside, that the context cannot hold."""
        messages = ask.messages
        # A token is a byte at least, and JSON has more of them around a text than a template.
        if len(_json([messages, *ask.tools])) < self.context:
            return ask

        def without(number: int) -> LlamaAsk:
            system = [one for one in messages[:number] if one["role"] == "system"]
            return replace(ask, messages=[*system, *messages[number:]])

        least, most = 0, len(messages) - 1
        while least < most:
            number = (least + most) // 2
            if len(await self._tokens(await self._rendered(without(number)))) < self.context:
                most = number
            else:
                least = number + 1
        return without(least)

    async def _check(self, schema: dict) -> None:
        """Refuse a schema that llama.cpp cannot keep to: it would say so in its log alone."""
        key = _json(schema)
        if key in self._schemas:
            return
        # No JSON begins with @: where it comes out, nothing held the answer.
        at = (await self._tokens("@", whole=False))[-1]
        body = {"prompt": "@", "n_predict": 1, "temperature": 0, "logit_bias": [[at, 1000]]}
        content = await self._post("/completion", body | {"json_schema": schema})
        if "@" in content["content"]:
            raise Unsupported(
                "llama.cpp cannot hold an answer to this JSON Schema: it is not a valid one, or "
                "nothing fits it, or it uses what llguidance does not know (such as not, if, "
                "contains, uniqueItems)",
                code="invalid_schema",
            )
        if len(self._schemas) > 1000:
            self._schemas.clear()
        self._schemas.add(key)

    # ---- HTTP

    async def _post(self, url: str, body: dict) -> dict:
        """What a path of the child, or another's address, answers."""
        url = url if url.startswith("http") else self._url + url
        try:
            response = await self._http.post(url, content=_json(body))
        except (httpx.HTTPError, RuntimeError) as error:
            raise await self._failed(error) from error
        if response.status_code != 200:
            raise _refused(response.status_code, response.content)
        return response.json()

    async def _events(self, path: str, body: dict) -> AsyncIterator[list[dict]]:
        """The events of a stream, several at once when they came so; or the one answer."""
        held = b""
        try:
            stream = self._http.stream("POST", self._url + path, content=_json(body))
            async with stream as response:
                if response.status_code != 200:
                    raise _refused(response.status_code, await response.aread())
                if not body["stream"]:
                    yield [json.loads(await response.aread())]
                    return
                async for chunk in response.aiter_raw():
                    *lines, held = (held + chunk).split(b"\n\n")
                    found = [line[6:] for line in lines if line.startswith(b"data: {")]
                    if found:
                        yield [json.loads(line) for line in found]
        except (httpx.HTTPError, RuntimeError) as error:
            raise await self._failed(error) from error

    async def _failed(self, error: Exception) -> ServingError:
        """Why there is no answer. A RuntimeError is a client that was closed."""
        for child in self._children():
            # A process that is being killed drops its connections a moment before it is gone.
            if await asyncio.to_thread(child.ended, 1):
                said = [line for line in child.tail().splitlines() if FAULTS.search(line)]
                why = f": {said[-1]}" if said else ", killed or closed"
                return ServingError(f"the process of {self.model} has ended{why}", status=500)
        return ServingError(f"llama.cpp does not answer: {error!r}", status=500)


class _Reading:
    """Makes deltas of llama.cpp's events. top: how many alternatives to a token are wanted."""

    def __init__(self, top: int | None, parallel: bool = True):
        self._top, self._parallel = top, parallel
        self._call: list[str] | None = None  # name and arguments, which come in pieces
        self._called = False

    def add(self, event: dict, delta: LlamaDelta) -> None:
        if "error" in event:
            raise _refused(event["error"].get("code", 500), _json(event))
        finish = None
        if "choices" in event:
            choice = event["choices"][0]
            new = choice["delta"] if "delta" in choice else choice["message"]
            finish = choice["finish_reason"]
            delta.text += new.get("content") or ""
            delta.thinking += new.get("reasoning_content") or ""
            logprobs = (choice.get("logprobs") or {}).get("content") or ()
            for piece in new.get("tool_calls") or ():
                self._add_call(piece["function"], delta)
        else:
            delta.text += event["content"]
            logprobs = event.get("completion_probabilities", ())
            if event["stop"]:
                finish = "length" if event["stop_type"] == "limit" else "stop"
        delta.logprobs += tuple(_logprob(one, self._top) for one in logprobs)
        if finish:
            self._end_call(delta)
            delta.finish = "tool_calls" if self._called and finish != "length" else finish
            delta.usage = _usage(event["timings"])

    def _add_call(self, piece: dict, delta: LlamaDelta) -> None:
        if piece.get("name"):
            self._end_call(delta)
            self._call = [piece["name"], ""]
        self._call[1] += piece.get("arguments", "")

    def _end_call(self, delta: LlamaDelta) -> None:
        """Give out the call that was read; one that was cut off is none."""
        if self._call and (self._parallel or not self._called):  # llama.cpp does not hold it to one
            name, arguments = self._call[0], self._call[1] or "{}"
            with contextlib.suppress(ValueError):
                if isinstance(json.loads(arguments), dict):
                    delta.calls += (Call(name, arguments),)
                    self._called = True
        self._call = None


def _logprob(one: dict, top: int | None) -> Logprob:
    others = one.get("top_logprobs", ())[:top]
    return Logprob(
        one["token"],
        one["logprob"],
        tuple(one["bytes"]),
        tuple(_logprob(other, 0) for other in others),
    )


def _usage(timings: dict) -> Usage:
    return Usage(
        prompt_tokens=timings["cache_n"] + timings["prompt_n"],
        completion_tokens=timings["predicted_n"],
        cached_tokens=timings["cache_n"],
        prompt_seconds=timings["prompt_ms"] / 1000,
        completion_seconds=timings["predicted_ms"] / 1000,
    )


def _json(content) -> bytes:
    try:
        return json.dumps(content, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ServingError("the request is nested too deeply") from None


FAULTS = re.compile(r"error|fail|assert|abort", re.IGNORECASE)
# What llama.cpp calls its own fault, and is the request's.
CLIENTS = re.compile(r"json\.exception|parse|grammar|_M_range_check|Jinja|template", re.IGNORECASE)


def _refused(status: int, content: bytes) -> ServingError:
    """An error of llama.cpp's, with the status that it should have."""
    try:
        error = json.loads(content)["error"]
        text, kind = str(error["message"]), error.get("type")
    except (ValueError, LookupError, TypeError):
        text, kind = content.decode("utf-8", errors="replace"), ""
    if kind == "exceed_context_size_error":
        return ServingError(text, code="context_length_exceeded")
    if status >= 500 and (status == 501 or CLIENTS.search(text)):
        status = 400
    # "Unable to generate parser for this template. Automatic parser generation failed: " and more
    text = text.removeprefix("Unable to generate parser for this template. ")
    text = text.removeprefix("Automatic parser generation failed: ")
    if "Jinja Exception: " in text:
        text = "the model's chat template refuses this: " + text.split("Jinja Exception: ")[-1]
    return ServingError(text.strip(), status=status if status >= 400 else 500)
