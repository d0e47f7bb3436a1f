"""The front door with Ollama's API: chat, generate, embed, and the models behind them.

What is asked, answered and refused, and in which words, follows Ollama's docs/api.md and what its
server did in August 2026. Two things are stricter: a prompt that the context cannot hold is refused
and not cut, and what the client caused is never a 500.
"""

import asyncio
import contextlib
import json
import math
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from helpers.serving.app import Door, Writing, json_body
from helpers.serving.engine import Call, Delta, Logprob, ServingError, Usage
from helpers.serving.gguf_header import read_gguf
from helpers.serving.gotemplate import filled, go_fields, jinja, rendered
from helpers.serving.library import Library, Tell, Visit
from helpers.serving.llama import LlamaAsk
from helpers.serving.named import Model, Name, sampling
from helpers.serving.openai import checked

VERSION = "0.33.0-course"  # of Ollama, whose API this is; some clients look


class Loose(BaseModel):
    """What a client leaves null is as if it were not there, as in Go."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        return {name: value for name, value in content.items() if value is not None}


class Asked(Loose):
    """A request. name: what older clients call the model."""

    model: str = ""
    name: str = ""
    stream: bool = True

    @model_validator(mode="after")
    def _one_name(self):
        self.model = self.model or self.name
        return self


class CalledFunction(Loose):
    name: str
    arguments: dict[str, Any] = {}


class Called(Loose):
    id: str = ""
    function: CalledFunction


class Message(Loose):
    role: str
    content: str = ""
    thinking: str = ""
    images: list[str] = []
    tool_calls: list[Called] = []
    tool_name: str = ""
    tool_call_id: str = ""

    def openai(self) -> dict:
        """As OpenAI's API has it."""
        message = {"role": self.role.lower(), "content": self.content}
        if self.thinking:
            message["reasoning_content"] = self.thinking
        if self.tool_calls:
            message["tool_calls"] = [
                {
                    "id": call.id or f"call_{number}",
                    "type": "function",
                    "function": {
                        "name": call.function.name,
                        "arguments": json.dumps(call.function.arguments, ensure_ascii=False),
                    },
                }
                for number, call in enumerate(self.tool_calls)
            ]
        if self.tool_name:
            message["name"] = self.tool_name
        if self.tool_call_id:
            message["tool_call_id"] = self.tool_call_id
        return message


class Function(Loose):
    name: Annotated[str, Field(min_length=1, max_length=128)]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(Loose):
    type: Literal["function"] = "function"
    function: Function


class Answered(Asked):
    """What /api/chat and /api/generate share."""

    options: dict[str, Any] = {}
    keep_alive: Any = None
    format: str | dict[str, Any] = ""
    think: Any = None
    logprobs: bool = False
    top_logprobs: int = 0

    @field_validator("think")
    @classmethod
    def _level(cls, value: Any) -> Any:
        if isinstance(value, bool) or value in ("high", "medium", "low", "max"):
            return value
        raise ValueError('must be a boolean or "high", "medium", "low", "max"')

    @field_validator("top_logprobs")
    @classmethod
    def _few(cls, value: int) -> int:
        if not 0 <= value <= 20:
            raise ValueError("top_logprobs must be between 0 and 20")
        return value

    def schema_asked(self) -> dict | None:
        """What the answer must fit, if anything."""
        if isinstance(self.format, dict):
            return self.format
        if self.format not in {"", "json"}:
            raise ServingError(
                f'invalid format: "{self.format}"; expected "json" or a valid JSON Schema object'
            )
        return {"type": "object"} if self.format else None


class ChatRequest(Answered):
    messages: list[Message] = []
    tools: list[Tool] = []
    truncate: bool = True


class GenerateRequest(Answered):
    prompt: str = ""
    suffix: str = ""
    system: str = ""
    template: str = ""
    context: list[int] | None = None
    raw: bool = False
    images: list[str] = []


class EmbedRequest(Asked):
    input: str | list[str] = []
    prompt: str = ""  # of /api/embeddings
    truncate: bool = True
    dimensions: Annotated[int, Field(ge=0)] = 0
    options: dict[str, Any] = {}
    keep_alive: Any = None


class ShowRequest(Asked):
    verbose: bool = False
    system: str = ""


class CreateRequest(Asked):
    base: str = Field("", alias="from")
    files: dict[str, str] | None = None
    quantize: str = ""
    quantization: str = ""  # its older name
    template: str = ""
    system: str = ""
    license: str | list[str] = []
    parameters: dict[str, Any] = {}
    messages: list[Message] = []
    adapters: Any = None
    renderer: Any = None
    parser: Any = None
    draft_files: Any = None
    remote_host: Any = None


class CopyRequest(Loose):
    source: str = ""
    destination: str = ""


INTEGERS = (
    "seed num_predict top_k repeat_last_n num_ctx num_thread num_keep num_batch num_gpu main_gpu "
    "draft_num_predict"
).split()
NUMBERS = (
    "temperature top_p min_p typical_p repeat_penalty presence_penalty frequency_penalty"
).split()


def checked_options(given: dict) -> dict:
    """Those that Ollama knows, as what they must be. Raises ServingError."""
    options = {}
    for name, value in given.items():
        if value is None:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in INTEGERS:
            if not number or not math.isfinite(value):
                raise ServingError(f'option "{name}" must be of type integer')
            options[name] = max(-(2**31), min(2**31 - 1, int(value)))
        elif name in NUMBERS:
            if not number or not abs(value) < 1e6:
                raise ServingError(f'option "{name}" must be of type float32')
            if name == "repeat_penalty" and value <= 0:
                raise ServingError(f'option "{name}" must be more than 0')
            options[name] = float(value)
        elif name == "stop":
            if not isinstance(value, list):
                raise ServingError(f'option "{name}" must be of type array')
            if not all(isinstance(word, str) for word in value):
                raise ServingError(f'option "{name}" must be of an array of strings')
            options[name] = [word for word in value if word]
    return options


UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}


def seconds(keep_alive: Any) -> float | None:
    """How long a model stays: a number, or a duration as Go writes it; below 0: for ever.

    >>> seconds("1h30m"), seconds("-1"), seconds(0), seconds(None)
    (5400.0, inf, 0, None)
    """
    if keep_alive is None:
        return None
    value = keep_alive
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value)
    if isinstance(value, str):
        part = r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)"
        if not re.fullmatch(rf"[-+]?(?:{part})+", value):
            raise ServingError(f'time: invalid duration "{keep_alive}"')
        value = sum(float(number) * UNITS[unit] for number, unit in re.findall(part, value))
        value = -value if keep_alive.startswith("-") else value
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
        raise ServingError("keep_alive is a number of seconds or a duration such as 5m")
    return math.inf if value < 0 else value


class Ollama(Door):
    """The routes under /api; its host is a `Library`."""

    host: Library

    def routes(self) -> list[Route]:
        return [
            self.route("/", self.here, ["GET"]),
            self.route("/api/version", self.version, ["GET"]),
            self.route("/api/tags", self.tags, ["GET"]),
            self.route("/api/ps", self.ps, ["GET"]),
            self.post("/api/show", self.show),
            self.post("/api/chat", self.chat),
            self.post("/api/generate", self.generate),
            self.post("/api/embed", self.embed),
            self.post("/api/embeddings", self.embeddings),
            self.post("/api/create", self.create),
            self.post("/api/pull", self.pull),
            self.post("/api/push", self.push),
            self.post("/api/copy", self.copy),
            self.route("/api/delete", self.delete, ["DELETE"]),
            self.route("/api/blobs/{digest}", self.blob, ["HEAD"]),
            self.route("/api/blobs/{digest}", self.add_blob, ["POST"]),
        ]

    def refusal(self, error: ServingError) -> dict:
        return {"error": str(error)}

    # ---- answers

    async def chat(self, content: dict) -> Response:
        request = checked(ChatRequest, content)
        answer = ChatForm(request.model)
        model = await self._model(request.model)
        keep = seconds(request.keep_alive)
        if not request.messages and keep == 0:
            self.host.unload(model)
            return JSONResponse(answer.only("unload"))
        tools = tuple(tool.model_dump(exclude_none=True) for tool in request.tools)
        think = _able(model, request, "chat", tools=bool(tools))
        if any(message.images for message in request.messages):
            raise _unable(model, "vision")
        schema = request.schema_asked()
        if schema is not None and tools:
            raise ServingError("an answer cannot be held to a format and call tools: leave out one")
        visit = self.host.visit(model, checked_options(request.options), keep)
        if not request.messages:
            return await self._load(visit, answer)
        ask = LlamaAsk(
            messages=model.conversation([message.openai() for message in request.messages]),
            tools=tools,
            schema=schema,
            stream=request.stream,
            sampling=_sampling(visit, request),
            think=think,
            forget=request.truncate,
        )
        return await self._answer(request, visit, ask, answer)

    async def generate(self, content: dict) -> Response:
        request = checked(GenerateRequest, content)
        answer = TextForm(request.model)
        model = await self._model(request.model)
        keep = seconds(request.keep_alive)
        if not request.prompt and keep == 0:
            self.host.unload(model)
            return JSONResponse(answer.only("unload"))
        if request.raw and (request.template or request.system or request.context):
            raise ServingError("raw mode does not support template, system, or context")
        think = _able(model, request, "generate", insert=bool(request.suffix))
        if request.images:
            raise _unable(model, "vision")
        visit = self.host.visit(model, checked_options(request.options), keep)
        if not request.prompt:
            return await self._load(visit, answer)
        ask = LlamaAsk(
            **_written(model, request),
            schema=request.schema_asked(),
            stream=request.stream,
            sampling=_sampling(visit, request),
            think=think,
            before=tuple(request.context) if request.context else None,
            remember=not request.raw,
        )
        return await self._answer(request, visit, ask, answer)

    async def _model(self, name: str) -> Model:
        return await asyncio.to_thread(self.host.find, name)

    async def _load(self, visit: Visit, answer: "Form") -> Response:
        async with visit.loaded():
            pass
        return JSONResponse(answer.only("load"))

    async def _answer(
        self, request: Answered, visit: Visit, ask: LlamaAsk, answer: "Form"
    ) -> Response:
        lines = self._lines(visit, ask, answer)
        if request.stream:
            return await self._stream(lines)
        async with contextlib.aclosing(lines):
            return JSONResponse(answer.whole([line async for line in lines]))

    async def _lines(self, visit: Visit, ask: LlamaAsk, answer: "Form") -> AsyncIterator[dict]:
        async with Writing(visit, self.meter, visit.model.name, [ask]) as writing:
            async for _, delta in writing:
                if line := answer.piece(delta):
                    yield line
                if delta.finish:
                    yield answer.end(delta, visit.load_seconds)

    async def _stream(self, lines: AsyncIterator[dict]) -> Response:
        """A response of lines; what goes wrong behind the first is a line, too."""

        async def pieces():
            begun = False
            try:
                async with contextlib.aclosing(lines):
                    async for line in lines:
                        yield _line(line)
                        begun = True
            except ServingError as error:
                if not begun:
                    raise
                yield _line(self.refusal(error))

        return await self.stream(pieces(), "application/x-ndjson")

    async def embed(self, content: dict) -> Response:
        begun = time.perf_counter()
        request = checked(EmbedRequest, content)
        texts = [request.input] if isinstance(request.input, str) else request.input
        visit, vectors, tokens = await self._embedded(request, [text for text in texts if text])
        if request.dimensions:
            vectors = [_unit(vector[: request.dimensions]) for vector in vectors]
        return JSONResponse(
            {
                "model": request.model,
                "embeddings": vectors,
                "total_duration": _ns(time.perf_counter() - begun),
                "load_duration": _ns(visit.load_seconds),
                "prompt_eval_count": tokens,
            }
        )

    async def embeddings(self, content: dict) -> Response:
        request = checked(EmbedRequest, content)
        _, vectors, _ = await self._embedded(request, [request.prompt] * bool(request.prompt))
        return JSONResponse({"embedding": vectors[0] if vectors else []})

    async def _embedded(self, request: EmbedRequest, texts: list[str]):
        try:
            model = await self._model(request.model)
        except ServingError as error:
            if error.status != 404:
                raise
            text = f'model "{request.model}" not found, try pulling it first'
            raise ServingError(text, 404, error.code) from None
        options = checked_options(request.options)
        visit = self.host.visit(model, options, seconds(request.keep_alive))
        if not texts:
            await self._load(visit, TextForm(request.model))
            return visit, [], 0
        late = self.host.limits.seconds
        try:
            async with asyncio.timeout(late), visit.slot() as engine:
                return visit, *(await engine.embed(texts, truncate=request.truncate))
        except TimeoutError:
            raise ServingError(f"no answer within {late:g} s", 504, "timeout") from None

    # ---- models

    async def here(self, request: Request) -> Response:
        return PlainTextResponse("Ollama is running")

    async def version(self, request: Request) -> Response:
        return JSONResponse({"version": VERSION})

    async def tags(self, request: Request) -> Response:
        def listed() -> list[dict]:
            return [
                self._shown(model)
                | {
                    "modified_at": _time(model.modified),
                    "size": model.size,
                    "capabilities": model.capabilities(),
                }
                for model in self.host.all()
            ]

        return JSONResponse({"models": await asyncio.to_thread(listed)})

    async def ps(self, request: Request) -> Response:
        running = [
            self._shown(loaded.model)
            | {
                "size": loaded.engine.memory(),
                "size_vram": 0,
                "expires_at": _time(loaded.expires),
                "context_length": loaded.engine.context,
            }
            for loaded in self.host.running()
        ]
        return JSONResponse({"models": running})

    def _shown(self, model: Model) -> dict:
        return {
            "name": model.name,
            "model": model.name,
            "digest": model.id,
            "details": self.host.details(model),
        }

    async def show(self, content: dict) -> Response:
        request = checked(ShowRequest, content)
        model = await self._model(request.model)
        return JSONResponse(await asyncio.to_thread(self._about, model, request))

    def _about(self, model: Model, request: ShowRequest) -> dict:
        read = read_gguf(model.path, arrays=True) if request.verbose else model.metadata()
        hidden = {"general.name", "tokenizer.chat_template"}
        about = {
            "license": "\n".join(model.license),
            "modelfile": _modelfile(model),
            "parameters": "\n".join(
                f"{name:30} {json.dumps(value, ensure_ascii=False)}"
                for name, value in _each(model.parameters)
            ),
            "template": model.template or read.values.get("tokenizer.chat_template", ""),
            "system": request.system or model.system,
            "details": self.host.details(model),
            "messages": [{"role": m["role"], "content": m["content"]} for m in model.messages],
            "model_info": {k: value for k, value in read.values.items() if k not in hidden}
            | {"general.parameter_count": read.parameters},
            "capabilities": model.capabilities(),
            "modified_at": _time(model.modified),
        }
        if request.verbose:
            about["tensors"] = [
                {"name": name, "type": kind, "shape": shape} for name, kind, shape in read.tensors
            ]
        return about

    async def copy(self, content: dict) -> Response:
        request = checked(CopyRequest, content)
        await asyncio.to_thread(self.host.copy, request.source, request.destination)
        return Response()

    async def delete(self, request: Request) -> Response:
        asked = checked(Asked, await json_body(request, self.host.limits.body))
        await self.host.delete(asked.model)
        return Response()

    async def pull(self, content: dict) -> Response:
        request = checked(Asked, content)
        return await self._progress(request, lambda tell: self.host.pull(request.model, tell))

    async def push(self, content: dict) -> Response:
        request = checked(Asked, content)
        model = await self._model(request.model)

        async def refuse(tell: Tell) -> None:
            tell({"status": "retrieving manifest"})
            raise ServingError(f"{model.name}: there is no registry to push to from this server")

        return await self._progress(request, refuse)

    async def create(self, content: dict) -> Response:
        request = checked(CreateRequest, content)
        for name in ("adapters", "renderer", "parser", "draft_files", "remote_host"):
            if getattr(request, name):
                raise ServingError(f"{name}: not supported by this server")
        if request.template:
            go_fields(request.template)  # whether it can be read
        asked = {
            "base": request.base,
            "files": request.files,
            "quantize": request.quantize or request.quantization,
            "template": request.template,
            "system": request.system,
            "license": tuple(
                [request.license] if isinstance(request.license, str) else request.license
            ),
            "parameters": checked_options(request.parameters),
            "messages": tuple(message.openai() for message in request.messages),
        }
        work = lambda tell: self.host.create(request.model, tell, **asked)  # noqa: E731
        return await self._progress(request, work)

    async def _progress(
        self, request: Asked, work: Callable[[Tell], Coroutine[Any, Any, None]]
    ) -> Response:
        async def lines() -> AsyncIterator[dict]:
            told: asyncio.Queue = asyncio.Queue()
            task = asyncio.create_task(work(told.put_nowait))
            task.add_done_callback(lambda _: told.put_nowait(None))
            try:
                while (line := await told.get()) is not None:
                    yield line
                await task
            finally:
                task.cancel()
                await asyncio.shield(asyncio.gather(task, return_exceptions=True))

        if request.stream:
            return await self._stream(lines())
        async with contextlib.aclosing(lines()) as told:
            return JSONResponse([line async for line in told][-1])

    async def blob(self, request: Request) -> Response:
        digest = request.path_params["digest"]
        if not self.host.has_blob(digest):
            raise ServingError(f'blob "{digest}" not found', 404)
        return Response()

    async def add_blob(self, request: Request) -> Response:
        new = await self.host.add_blob(request.path_params["digest"], request.stream())
        return Response(status_code=201 if new else 200)


# ---- what is asked


def _able(model: Model, request: Answered, what: str, **wanted: bool) -> bool | str | None:
    """Whether and how the model thinks. Raises ServingError for what it cannot do."""
    able = model.capabilities()
    if "thinking" not in able and request.think:
        raise ServingError(f'"{request.model}" does not support thinking')
    if "completion" not in able:
        raise ServingError(f'"{request.model}" does not support {what}')
    for name in wanted:
        if wanted[name] and name not in able:
            raise _unable(model, name)
    if "thinking" not in able:
        return None
    return True if request.think is None else request.think


def _unable(model: Model, what: str) -> ServingError:
    return ServingError(f"{Name.read(model.name).full} does not support {what}")


def _sampling(visit: Visit, request: Answered):
    return sampling(visit.options, request.top_logprobs if request.logprobs else None)


def _written(model: Model, request: GenerateRequest) -> dict:
    """The prompt, or the messages, that a request to continue stands for."""
    if request.raw:
        return {"prompt": request.prompt}
    template = request.template or model.template
    if request.suffix:
        return {"prompt": filled(template, request.prompt, request.suffix)}
    messages = [{"role": "user", "content": request.prompt}]
    if not request.context:
        messages = [*model.messages, *messages]
    if system := request.system or model.system:
        messages.insert(0, {"role": "system", "content": system})
    if request.template:
        return {"prompt": rendered(jinja(request.template), messages=messages, tools=None)}
    return {"messages": messages}


# ---- what is answered


class Form:
    """How an answer is written. model: as the client called it."""

    def __init__(self, model: str):
        self._model, self._begun, self._calls = model, time.perf_counter(), 0

    def only(self, reason: str) -> dict:
        """That a model was loaded or unloaded, and nothing said."""
        return self._frame(self._said("", "", []), True) | {"done_reason": reason}

    def piece(self, delta: Delta) -> dict | None:
        """A line for what is new; None when that is nothing."""
        calls = [self._call(call) for call in delta.calls]
        thinking = getattr(delta, "thinking", "")
        if not (delta.text or thinking or calls or delta.logprobs):
            return None
        line = self._frame(self._said(delta.text, thinking, calls), False)
        if delta.logprobs:
            line["logprobs"] = [_logprob(one) for one in delta.logprobs]
        return line

    def end(self, delta: Delta, load_seconds: float) -> dict:
        """The last line."""
        usage = delta.usage or Usage()
        line = self._frame(self._said("", "", []), True)
        line["done_reason"] = "length" if delta.finish == "length" else "stop"
        if context := getattr(delta, "context", None):
            line["context"] = context
        return line | {
            "total_duration": _ns(time.perf_counter() - self._begun),
            "load_duration": _ns(load_seconds),
            "prompt_eval_count": usage.prompt_tokens,
            "prompt_eval_duration": _ns(usage.prompt_seconds),
            "eval_count": usage.completion_tokens,
            "eval_duration": _ns(usage.completion_seconds),
        }

    def whole(self, lines: list[dict]) -> dict:
        """All lines in one."""
        logprobs = [one for line in lines for one in line.get("logprobs", ())]
        said = self._joined(lines)
        return lines[-1] | said | ({"logprobs": logprobs} if logprobs else {})

    def _frame(self, said: dict, done: bool) -> dict:
        return {"model": self._model, "created_at": _time(time.time()), **said, "done": done}

    def _call(self, call: Call) -> dict:
        self._calls += 1
        return {
            "id": "call_" + secrets.token_hex(4),
            "function": {
                "index": self._calls - 1,
                "name": call.name,
                "arguments": json.loads(call.arguments),
            },
        }

    def _said(self, text: str, thinking: str, calls: list[dict]) -> dict:
        raise NotImplementedError

    def _joined(self, lines: list[dict]) -> dict:
        raise NotImplementedError


class ChatForm(Form):
    def _said(self, text: str, thinking: str, calls: list[dict]) -> dict:
        message = {"role": "assistant", "content": text}
        if thinking:
            message["thinking"] = thinking
        if calls:
            message["tool_calls"] = calls
        return {"message": message}

    def _joined(self, lines: list[dict]) -> dict:
        messages = [line["message"] for line in lines]
        return self._said(
            "".join(message["content"] for message in messages),
            "".join(message.get("thinking", "") for message in messages),
            [call for message in messages for call in message.get("tool_calls", ())],
        )


class TextForm(Form):
    def _said(self, text: str, thinking: str, calls: list[dict]) -> dict:
        return {"response": text} | ({"thinking": thinking} if thinking else {})

    def _joined(self, lines: list[dict]) -> dict:
        text = "".join(line["response"] for line in lines)
        return self._said(text, "".join(line.get("thinking", "") for line in lines), [])


def _line(content: dict) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode("utf-8") + b"\n"


def _logprob(one: Logprob) -> dict:
    content = {"token": one.token, "logprob": one.logprob, "bytes": list(one.bytes)}
    return content | ({"top_logprobs": [_logprob(top) for top in one.top]} if one.top else {})


def _ns(duration: float) -> int:
    return round(duration * 1e9)


def _time(since: float) -> str:
    return datetime.fromtimestamp(since, UTC).isoformat().replace("+00:00", "Z")


def _unit(vector: list[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


def _each(parameters: dict) -> list[tuple[str, Any]]:
    """Parameters as a Modelfile has them: one line for each of several values."""
    return [
        (name, value)
        for name, values in parameters.items()
        for value in (values if isinstance(values, list) else [values])
    ]


def _modelfile(model: Model) -> str:
    lines = [
        '# Modelfile generated by "ollama show"',
        "# To build a new Modelfile based on this, replace FROM with:",
        f"# FROM {model.name}",
        "",
        f"FROM blobs/{model.digest.replace(':', '-')}",
    ]
    if model.template:
        lines.append(f'TEMPLATE """{model.template}"""')
    if model.system:
        lines.append(f'SYSTEM """{model.system}"""')
    lines += [f"PARAMETER {name} {json.dumps(v)}" for name, v in _each(model.parameters)]
    lines += [f'LICENSE """{text}"""' for text in model.license]
    lines += [f"MESSAGE {m['role']} {json.dumps(m['content'])}" for m in model.messages]
    return "\n".join(lines) + "\n"
