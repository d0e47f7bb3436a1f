"""The front door with OpenAI's API: chat completions, completions, embeddings, models."""

import json
import secrets
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from helpers.serving.app import Door, unknown
from helpers.serving.engine import Ask, Call, Delta, Logprob, Sampling, ServingError, Usage

NOTHING = {"logit_bias", "functions", "function_call", "audio", "web_search_options"}


class Checked(BaseModel):
    # Fields that nobody here knows are left alone, as clients send what newer servers understand;
    # those of NOTHING would change the answer and are refused.
    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _possible(cls, content: Any) -> Any:
        if isinstance(content, dict) and (asked := [n for n in NOTHING if content.get(n)]):
            raise ValueError(f"{', '.join(sorted(asked))}: not supported by this server")
        return content


class Function(Checked):
    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\w.\-]+$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(Checked):
    type: Literal["function"]
    function: Function


class Part(Checked):
    type: Literal["text"]
    text: str


class CalledFunction(Checked):
    name: str
    arguments: str = "{}"

    @model_validator(mode="after")
    def _object(self):
        try:
            if isinstance(json.loads(self.arguments or "{}"), dict):
                return self
        except ValueError:
            pass
        raise ValueError("arguments of a call are the text of a JSON object")


class Called(Checked):
    id: str | None = None
    type: Literal["function"] = "function"
    function: CalledFunction


class Message(Checked):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[Called] | None = None
    tool_call_id: str | None = None

    @model_validator(mode="after")
    def _says_something(self):
        if self.content is None and not (self.role == "assistant" and self.tool_calls):
            raise ValueError("content is missing")
        return self


class NamedFunction(Checked):
    name: str


class NamedTool(Checked):
    type: Literal["function"]
    function: NamedFunction


class JsonSchema(Checked):
    name: str = "answer"
    json_schema: dict[str, Any] = Field(alias="schema")


class Format(Checked):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    def schema_of(self) -> dict | None:
        if self.type == "json_schema":
            if self.json_schema is None:
                raise ServingError("response_format: json_schema is missing")
            return self.json_schema.json_schema
        return {"type": "object"} if self.type == "json_object" else None


Probability = Annotated[float, Field(gt=0, le=1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Stop = str | Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=16)] | None


class Options(Checked):
    """What a chat and a plain completion share."""

    model: str
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    n: Annotated[int, Field(ge=1, le=16)] = 1
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Probability | None = None
    seed: int | None = None
    stop: Stop = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    # not OpenAI's; most local servers know them
    top_k: Annotated[int, Field(ge=0)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repeat_penalty: Annotated[float, Field(gt=0)] | None = None
    ignore_eos: bool = False

    def sampling(self, number: int, logprobs: int | None) -> Sampling:
        given = {
            name: value
            for name in (
                "max_tokens temperature top_p top_k min_p repeat_penalty presence_penalty "
                "frequency_penalty ignore_eos"
            ).split()
            if (value := getattr(self, name)) is not None
        }
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        seed = None if self.seed is None else (self.seed + number) % 2**32
        return Sampling(**given, seed=seed, stop=stop, logprobs=logprobs)

    @property
    def counted(self) -> bool:
        return bool((self.stream_options or {}).get("include_usage"))


class ChatRequest(Options):
    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: Format | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    def asks(self) -> list[Ask]:
        if self.max_completion_tokens is not None:
            self.max_tokens = self.max_completion_tokens
        tools = tuple(tool.model_dump(exclude_none=True) for tool in self.tools or ())
        names = [tool["function"]["name"] for tool in tools]
        choice = self.tool_choice or "auto"
        if isinstance(choice, NamedTool):
            choice = choice.function.name
            if choice not in names:
                raise ServingError(f"tool_choice names {choice!r}, which is not among the tools")
        elif choice == "required" and not tools:
            raise ServingError("tool_choice is 'required', and there are no tools")
        schema = self.response_format.schema_of() if self.response_format else None
        if schema is not None and tools and choice != "none":
            raise ServingError(
                "an answer cannot be held to response_format and call tools: leave out one, or set "
                "tool_choice to 'none'"
            )
        if self.top_logprobs and not self.logprobs:
            raise ServingError("top_logprobs needs logprobs to be true")
        return [
            Ask(
                messages=[message.model_dump(exclude_none=True) for message in self.messages],
                tools=tools,
                choice=choice,
                parallel=self.parallel_tool_calls is not False,
                schema=schema,
                stream=self.stream,
                sampling=self.sampling(n, (self.top_logprobs or 0) if self.logprobs else None),
            )
            for n in range(self.n)
        ]


class CompletionRequest(Options):
    prompt: str | list[int] | list[str]
    max_tokens: Annotated[int, Field(ge=1)] | None = 16
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    echo: Literal[False] = False
    suffix: None = None

    def asks(self) -> list[Ask]:
        several = isinstance(self.prompt, list) and any(isinstance(p, str) for p in self.prompt)
        prompts = self.prompt if several else [self.prompt]
        if not prompts or len(prompts) * self.n > 64:
            raise ServingError(f"prompt: {len(prompts)} prompts of {self.n} answers each")
        return [
            Ask(prompt=prompt, stream=self.stream, sampling=self.sampling(n, self.logprobs))
            for prompt in prompts
            for n in range(self.n)
        ]


class EmbeddingRequest(Checked):
    model: str
    input: str | Annotated[list[str], Field(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: None = None


def checked(kind: type[BaseModel], content: dict) -> Any:
    """The request as `kind`. Raises ServingError that names the field."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        what = first["msg"].removeprefix("Value error, ")
        raise ServingError(f"{place}: {what}" if place else what, code="invalid_value") from None


class OpenAI(Door):
    """The routes under /v1."""

    def routes(self) -> list[Route]:
        return [
            self.post("/v1/chat/completions", self.chat),
            self.post("/v1/completions", self.complete),
            self.post("/v1/embeddings", self.embed),
            self.route("/v1/models", self.models, ["GET"]),
            self.route("/v1/models/{model:path}", self.model, ["GET"]),
        ]

    def refusal(self, error: ServingError) -> dict:
        kind = "invalid_request_error" if error.status < 500 else "server_error"
        return {"error": {"message": str(error), "type": kind, "param": None, "code": error.code}}

    async def models(self, request: Request) -> Response:
        data = [self._listed(name) for name in self.host.models()]
        return JSONResponse({"object": "list", "data": data})

    async def model(self, request: Request) -> Response:
        name, known = request.path_params["model"], self.host.models()
        name = next((one for one in (name, f"{name}:latest") if one in known), name)
        if name not in known:
            raise unknown(name, known)
        return JSONResponse(self._listed(name))

    def _listed(self, name: str) -> dict:
        made = self.host.models()[name]
        return {"id": name, "object": "model", "created": made, "owned_by": "edge-agents-course"}

    async def chat(self, content: dict) -> Response:
        request = checked(ChatRequest, content)
        return await self._answer(request, ChatForm(request.model))

    async def complete(self, content: dict) -> Response:
        request = checked(CompletionRequest, content)
        return await self._answer(request, TextForm(request.model))

    async def embed(self, content: dict) -> Response:
        request = checked(EmbeddingRequest, content)
        texts = [request.input] if isinstance(request.input, str) else request.input
        async with self.host.slot(request.model) as engine:
            vectors, tokens = await engine.embed(texts)
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": vector if request.encoding_format == "float" else _base64(vector),
            }
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return JSONResponse(
            {"object": "list", "data": data, "model": request.model, "usage": usage}
        )

    async def _answer(self, request: ChatRequest | CompletionRequest, form: "Form") -> Response:
        asks = request.asks()
        if request.stream:
            pieces = self._events(request, form, asks)
            return await self.stream(pieces, "text/event-stream")
        answers = [Answer() for _ in asks]
        async with self.write(request.model, asks) as writing:
            async for number, delta in writing:
                answers[number].add(delta)
        return JSONResponse(form.whole(answers, request.n))

    async def _events(self, request, form: "Form", asks: list[Ask]) -> AsyncIterator[bytes]:
        total, begun, calls = Usage(), set(), {}
        try:
            async with self.write(request.model, asks) as writing:
                async for number, delta in writing:
                    at = calls.get(number, 0)
                    yield _event(form.piece(number, delta, number not in begun, at))
                    begun.add(number)
                    calls[number] = at + len(delta.calls)
                    if delta.usage:
                        _add(total, delta.usage, number % request.n == 0)
            if request.counted:
                yield _event(form.frame([], piece=True) | {"usage": _usage(total)})
            yield b"data: [DONE]\n\n"
        except ServingError as error:
            if not begun:
                raise
            yield _event(self.refusal(error))


class Answer:
    """The deltas of one answer, put together."""

    def __init__(self):
        self.text, self.finish, self.usage = "", None, Usage()
        self.calls: list[Call] = []
        self.logprobs: list[Logprob] = []

    def add(self, delta: Delta) -> None:
        self.text += delta.text
        self.calls += delta.calls
        self.logprobs += delta.logprobs
        self.finish = delta.finish or self.finish
        self.usage = delta.usage or self.usage


class Form:
    """How answers are written in JSON; `begin` of the id, and the kinds of object."""

    begin = kind = piece_kind = ""

    def __init__(self, model: str):
        self.model = model
        self.id = self.begin + secrets.token_hex(12)
        self.created = int(time.time())

    def frame(self, choices: list[dict], piece: bool = False) -> dict:
        return {
            "id": self.id,
            "object": self.piece_kind if piece else self.kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }

    def whole(self, answers: list[Answer], each: int) -> dict:
        """The body with all answers, `each` of them to the same prompt."""
        total = Usage()
        for number, answer in enumerate(answers):
            _add(total, answer.usage, number % each == 0)
        choices = [self.choice(number, answer) for number, answer in enumerate(answers)]
        return self.frame(choices) | {"usage": _usage(total)}

    def choice(self, number: int, answer: Answer) -> dict:
        raise NotImplementedError

    def piece(self, number: int, delta: Delta, first: bool, calls: int) -> dict:
        """A chunk. first: of this answer. calls: how many came in earlier chunks."""
        raise NotImplementedError


class ChatForm(Form):
    begin, kind, piece_kind = "chatcmpl-", "chat.completion", "chat.completion.chunk"

    def choice(self, number: int, answer: Answer) -> dict:
        message = {"role": "assistant", "content": answer.text or None, "refusal": None}
        if answer.calls:
            message["tool_calls"] = [_call(call) for call in answer.calls]
        elif not answer.text:
            message["content"] = ""
        return {
            "index": number,
            "message": message,
            "logprobs": _chat_logprobs(answer.logprobs),
            "finish_reason": answer.finish,
        }

    def piece(self, number: int, delta: Delta, first: bool, calls: int) -> dict:
        new: dict = {"role": "assistant", "content": ""} if first else {}
        if delta.text:
            new["content"] = delta.text
        if delta.calls:
            new["tool_calls"] = [
                {"index": calls + index} | _call(call) for index, call in enumerate(delta.calls)
            ]
        choice = {
            "index": number,
            "delta": new,
            "logprobs": _chat_logprobs(delta.logprobs),
            "finish_reason": delta.finish,
        }
        return self.frame([choice], piece=True)


class TextForm(Form):
    begin, kind, piece_kind = "cmpl-", "text_completion", "text_completion"

    def choice(self, number: int, answer: Answer) -> dict:
        return self._choice(number, answer.text, answer.logprobs, answer.finish)

    def piece(self, number: int, delta: Delta, first: bool, calls: int) -> dict:
        choice = self._choice(number, delta.text, delta.logprobs, delta.finish)
        return self.frame([choice], piece=True)

    def _choice(self, number: int, text: str, logprobs, finish: str | None) -> dict:
        shown = logprobs and {
            "tokens": [one.token for one in logprobs],
            "token_logprobs": [one.logprob for one in logprobs],
            "top_logprobs": [{top.token: top.logprob for top in one.top} for one in logprobs],
        }
        return {"index": number, "text": text, "logprobs": shown or None, "finish_reason": finish}


def _call(call: Call) -> dict:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": "call_" + secrets.token_hex(12), "type": "function", "function": function}


def _chat_logprobs(logprobs) -> dict | None:
    def one(logprob: Logprob) -> dict:
        return {
            "token": logprob.token,
            "logprob": logprob.logprob,
            "bytes": list(logprob.bytes),
        }

    if not logprobs:
        return None
    return {"content": [one(p) | {"top_logprobs": [one(top) for top in p.top]} for p in logprobs]}


def _usage(usage: Usage) -> dict:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def _add(total: Usage, more: Usage, another_prompt: bool) -> None:
    """Several answers to one prompt have read it once, as OpenAI counts."""
    if another_prompt:
        total.prompt_tokens += more.prompt_tokens
        total.cached_tokens += more.cached_tokens
    total.completion_tokens += more.completion_tokens


def _event(content: dict) -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()


def _base64(vector: list[float]) -> str:
    import array
    import base64

    return base64.b64encode(array.array("f", vector).tobytes()).decode("ascii")
