"""A runtime that is a Python library, as an engine: one thread writes all answers, token by token.

A `Runtime` knows token ids only. Templates, tool calls, stop words and text are the same for all,
and are done here.
"""

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from helpers.serving.engine import (
    Ask,
    Delta,
    Logprob,
    Sampling,
    ServingError,
    Unsupported,
    Usage,
)
from helpers.serving.text import CallParser, Decoder, StopWords, Text


@dataclass(frozen=True)
class Constraint:
    """What an answer is held to: a JSON Schema, or text whose calls fit their tools' schemas."""

    schema: dict | None = None
    tools: tuple[dict, ...] = ()  # functions: name, parameters
    required: bool = False  # nothing but calls
    parallel: bool = True


def constraint(ask: Ask) -> Constraint | None:
    """What the answer to an ask is held to, if to anything."""
    if ask.schema is not None:
        return Constraint(schema=ask.schema)
    if not ask.tools or ask.choice == "none":
        return None
    functions = tuple(tool["function"] for tool in ask.tools)
    if ask.choice not in {"auto", "required"}:
        functions = tuple(one for one in functions if one["name"] == ask.choice)
    return Constraint(None, functions, ask.choice != "auto", ask.parallel)


class Token(NamedTuple):  # a tuple, because no other object is made as often
    """A token id; its natural log-probability and the most probable ones, where they were asked.

    text: what it adds, from a runtime that says no ids.
    """

    id: int = -1
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()
    text: str | None = None


@dataclass(eq=False)
class Job:
    """An answer in the making. Runtimes read the first four, and keep in `state` what they like."""

    prompt: list[int]
    max_tokens: int
    sampling: Sampling
    constraint: Constraint | None = None
    state: object = None
    cached: int = 0  # tokens of the prompt that a cache spared; the runtime says it, if it knows
    written: int | None = None  # tokens of the answer, from a runtime that gives text alone
    watched: bool = True  # whether tokens are looked at before the last has come
    # Of the runtime's thread: the time of the first token, and those not yet handed over.
    _first: float = 0.0
    _made: list[Token] = field(default_factory=list)
    # Of the event loop's thread: what has come and was not yet looked at.
    _come: list[Token] = field(default_factory=list)
    _finish: str | Exception | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)


class Runtime(Protocol):
    """A library with a model loaded. All, its making included, is called from one thread.

    `step` advances every job that was added by at least a token, and says what came: for each job
    the new tokens and None, "stop" (an end token, which is not among them), "length", or a
    ServingError, for a job that fails alone. A job that has ended, in any way, is forgotten by
    itself; `remove` is for one whose client has gone. Nothing may have come of a step.
    """

    name: str
    folder: Path  # with the model's tokenizer.json and chat template
    context: int
    slots: int
    can: frozenset[str]

    def add(self, job: Job) -> None:
        """Take a job in. Raises ServingError for what it cannot do."""
        ...

    def step(self) -> list[tuple[Job, list[Token], str | Exception | None]]: ...

    def remove(self, job: Job) -> None: ...

    def close(self) -> None: ...


# Seconds between two words to the event loop about answers that are watched. To wake it for every
# token of a small model would take as long as the token.
PAUSE = 0.02


class Batched:
    """An `Engine` over the `Runtime` that `make` loads. model: the name that clients use."""

    def __init__(self, make: Callable[[], Runtime], model: str):
        self._inbox: queue.SimpleQueue = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._broken: Exception | None = None
        loaded: Future[Runtime] = Future()
        self._thread = threading.Thread(target=self._work, args=(make, loaded), daemon=True)
        self._thread.start()
        runtime = loaded.result()
        self.name, self.model = runtime.name, model
        self.context, self.slots, self.can = runtime.context, runtime.slots, runtime.can
        self.text = Text(runtime.folder)
        self._vocabulary = self.text.tokenizer.get_vocab_size()

    def tokenize(self, text: str) -> list[int]:
        return self.text.encode(text)

    def healthy(self) -> bool:
        return self._thread.is_alive() and self._broken is None

    async def embed(self, texts: list[str]) -> tuple[list[list[float]], int]:
        raise Unsupported(f"{self.name} computes no embeddings here")

    async def close(self) -> None:
        if self._thread.is_alive():
            self._inbox.put(("close", None))
            await asyncio.to_thread(self._thread.join)

    async def answer(self, ask: Ask) -> AsyncIterator[Delta]:
        job = self._job(ask)
        begun = time.perf_counter()
        calling = bool(ask.tools) and ask.choice != "none"
        parser, stop, decoder = CallParser(), StopWords(ask.sampling.stop), self.text.stream()
        usage = Usage(prompt_tokens=len(job.prompt))
        self._send("add", job)
        try:
            finish = None
            while finish is None:
                await job._news.wait()
                job._news.clear()
                come, job._come = job._come, []
                finish = job._finish
                if isinstance(finish, Exception):
                    raise finish
                delta = Delta()
                # After a stop word nothing counts any more, which only one by one can tell.
                for tokens in [[one] for one in come] if ask.sampling.stop else [come]:
                    usage.completion_tokens += len(tokens)
                    shown = stop.feed(self._said(tokens, decoder, ask.sampling.ignore_eos))
                    if ask.sampling.logprobs is not None:
                        delta.logprobs += tuple(map(self._named, tokens))
                    if calling:
                        shown, calls = parser.feed(shown)
                        delta.calls += calls
                    delta.text += shown
                    if stop.hit:
                        finish = "stop"
                        break
                if finish:
                    rest = stop.end()
                    delta.text += (parser.feed(rest)[0] + parser.end()) if calling else rest
                    ended = time.perf_counter()
                    usage.cached_tokens = job.cached
                    if job.written is not None and not stop.hit:
                        usage.completion_tokens = job.written
                    # What comes in one piece does not say when its first token was there.
                    first = job._first or (ended if usage.completion_tokens < 2 else None)
                    usage.prompt_seconds = first and first - begun
                    usage.completion_seconds = ended - (first or begun)
                    delta.finish = "tool_calls" if parser.found else finish
                    delta.usage = usage
                if finish or delta.text or delta.calls or delta.logprobs:
                    yield delta
        finally:
            if job._finish is None:
                self._send("remove", job)

    def _job(self, ask: Ask) -> Job:
        if ask.messages is not None:
            tools = () if ask.choice == "none" else ask.tools
            prompt = self.text.encode(self.text.render(ask.messages, tools))
        else:
            prompt = self.text.encode(ask.prompt) if isinstance(ask.prompt, str) else ask.prompt
        if wrong := [number for number in prompt if not 0 <= number < self._vocabulary]:
            raise ServingError(f"the prompt has token {wrong[0]}, and the model has none such")
        room = self.context - len(prompt)
        if not prompt or room < 1:
            raise ServingError(
                f"the prompt has {len(prompt):,} tokens, and the context {self.context:,}, answer "
                f"included: {'shorten it' if prompt else 'say something'}",
                code="context_length_exceeded" if prompt else None,
            )
        self._allow(ask)
        held = constraint(ask) if "tools" in self.can or ask.schema is not None else None
        wanted = ask.sampling.max_tokens
        length = room if wanted is None else min(wanted, room)
        watched = ask.stream or bool(ask.sampling.stop)  # stop words end it before its end
        return Job(prompt, length, ask.sampling, held, watched=watched)

    def _allow(self, ask: Ask) -> None:
        """Refuse what the runtime has no means for: silence would look like an answer."""
        sampling = ask.sampling
        wanted = {
            "json_schema": ask.schema is not None,
            "tools": bool(ask.tools) and ask.choice not in {"auto", "none"},
            "logprobs": sampling.logprobs is not None,
            "seed": sampling.seed is not None and sampling.temperature > 0,
            "penalties": bool(sampling.presence_penalty or sampling.frequency_penalty),
            "repeat_penalty": sampling.repeat_penalty != 1,
            "min_p": sampling.min_p > 0,
        }
        for what, asked in wanted.items():
            if asked and what not in self.can:
                raise Unsupported(f"{self.name} has no {what.replace('_', ' ')} here", code=what)

    def _said(self, tokens: list[Token], decoder: Decoder, ends_too: bool) -> str:
        """The text of tokens. ends_too: there may be end tokens, which are none."""
        if tokens and tokens[0].text is not None:
            return "".join([token.text for token in tokens])
        ids = [token.id for token in tokens]
        if ends_too:
            ids = [number for number in ids if number not in self.text.ends]
        return decoder.feed(ids)

    def _named(self, token: Token) -> Logprob:
        def named(number: int, logprob: float, top: tuple[Logprob, ...] = ()) -> Logprob:
            text = self.text.tokenizer.decode([number], skip_special_tokens=False)
            return Logprob(text, logprob, tuple(text.encode("utf-8")), top)

        return named(token.id, token.logprob, tuple(named(*one) for one in token.top))

    def _send(self, what: str, job: Job) -> None:
        if not self.healthy():
            raise ServingError(f"{self.name} has failed: {self._broken}", status=503)
        self._loop = asyncio.get_running_loop()
        self._inbox.put((what, job))

    def _work(self, make: Callable[[], Runtime], loaded: Future) -> None:
        """The runtime's thread."""
        try:
            self._runtime = make()
        except BaseException as error:
            loaded.set_exception(error)
            return
        loaded.set_result(self._runtime)
        jobs: set[Job] = set()
        told = 0.0
        try:
            while self._take(jobs):
                ended = {}
                for job, tokens, finish in self._runtime.step():
                    job._made += tokens
                    if finish:
                        ended[job] = finish
                    elif tokens and not job._first:
                        job._first = time.perf_counter()
                now = time.perf_counter()
                if ended or now - told > PAUSE:
                    told = now
                    news = [job for job in jobs if job in ended or (job.watched and job._made)]
                    self._tell([(job, job._made, ended.get(job)) for job in news])
                    for job in news:
                        job._made = []
                    jobs.difference_update(ended)
        except Exception as error:  # a fault of the library's: all who wait must hear of it
            self._broken = error
            failed = ServingError(f"{self.name} failed: {error}", status=500)
            self._tell([(job, [], failed) for job in jobs])
            raise
        finally:
            self._runtime.close()

    def _take(self, jobs: set[Job]) -> bool:
        """Read the inbox, waiting when there is nothing to do; False at the end."""
        while not jobs or not self._inbox.empty():
            what, job = self._inbox.get()
            if what == "close":
                return False
            if what == "remove":
                if job in jobs:
                    jobs.remove(job)
                    self._runtime.remove(job)
                continue
            try:
                self._runtime.add(job)
                jobs.add(job)
            except ServingError as error:
                self._tell([(job, [], error)])
        return True

    def _tell(self, news: list[tuple[Job, list[Token], str | Exception | None]]) -> None:
        """Hand over what came, all jobs at once: waking the event loop is what costs."""
        if news:
            self._loop.call_soon_threadsafe(_receive, news)


def _receive(news: list[tuple[Job, list[Token], str | Exception | None]]) -> None:
    for job, tokens, finish in news:
        job._come += tokens
        job._finish = finish
        job._news.set()
