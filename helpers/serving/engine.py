"""What the two front doors ask of a model, and what they get: `Ask` in, `Delta`s out.

An `Engine` is a loaded model. Two kinds are here: `batched.Batched` for runtimes that are Python
libraries, `llama.Llama` for a llama.cpp server in a child process.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol


class ServingError(Exception):
    """What a client is told; the text says what was wrong. status: of HTTP."""

    def __init__(self, message: str, status: int = 400, code: str | None = None):
        super().__init__(message)
        self.status, self.code = status, code


class Unsupported(ServingError):
    """The runtime cannot do what was asked; nothing else is done in its place."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are chosen, and when to stop. What is None or neutral is not applied."""

    max_tokens: int | None = None  # None: as many as the context has room for
    temperature: float = 1.0  # 0: always the most probable token
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None  # how many alternatives at each token; 0: the chosen one alone
    ignore_eos: bool = False


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One answer that is wanted: to a conversation, or, with `messages` None, to a raw prompt."""

    messages: list[dict] | None = None  # as in OpenAI's API
    prompt: str | list[int] = ""  # text, special tokens read as such, or token ids
    tools: tuple[dict, ...] = ()  # as in OpenAI's API: {"type": "function", "function": {...}}
    choice: str = "auto"  # auto, none, required, or the name of the one to call
    parallel: bool = True  # whether several calls may come at once
    schema: dict | None = None  # a JSON Schema that the whole answer fits
    stream: bool = True  # False: nobody reads along, and all of it may come at the end
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True)
class Call:
    """A tool call; arguments are JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Logprob:
    """A token, its natural log-probability, and the most probable ones in its place."""

    token: str
    logprob: float
    bytes: tuple[int, ...] = ()
    top: tuple["Logprob", ...] = ()


@dataclass
class Usage:
    """Tokens read and written, and seconds."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0  # of the prompt, those known from an earlier one
    prompt_seconds: float | None = 0.0  # until the first token; None where that is not known
    completion_seconds: float = 0.0  # from the first, or else the beginning, to the last


@dataclass
class Delta:
    """What is new of an answer. The last one has `finish` and `usage`."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    logprobs: tuple[Logprob, ...] = ()
    finish: str | None = None  # stop, length or tool_calls
    usage: Usage | None = None


class Engine(Protocol):
    """A loaded model. Leaving the iterator early (`aclose`) ends the work on that answer."""

    name: str  # the runtime's
    model: str
    context: int  # tokens of a prompt and its answer together
    slots: int  # answers written at once; the server lets no more in
    can: frozenset[str]  # of json_schema, tools, logprobs, seed, penalties, min_p, embeddings

    def answer(self, ask: Ask) -> AsyncIterator[Delta]:
        """Write an answer. Raises ServingError, before the first Delta where it can be known."""
        ...

    async def embed(self, texts: list[str]) -> tuple[list[list[float]], int]:
        """A vector for each text, and the tokens read. Raises Unsupported."""
        ...

    def tokenize(self, text: str) -> list[int]:
        """Token ids, special tokens read as such."""
        ...

    def healthy(self) -> bool:
        """Whether it can still answer."""
        ...

    async def close(self) -> None:
        """Free the model. Closing twice is fine."""
        ...
