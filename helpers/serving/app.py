"""One HTTP app with two front doors, OpenAI's API and Ollama's, over loaded models.

`build(host)` gives an ASGI app. A `Host` knows the models and lets requests in: `One` has a single
model, `library.Library` many, as Ollama does.
"""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from helpers.serving.engine import Ask, Delta, Engine, ServingError


@dataclass(frozen=True)
class Limits:
    """What the server bears. Bytes, requests, seconds."""

    body: int = 8_000_000  # a request; blobs of models may be larger
    waiting: int = 256  # requests in the queue of a model
    seconds: float = 600  # a whole answer, the time in the queue included


class Gate:
    """Lets `slots` requests in at a time, the others in the order in which they came.

    Raises ServingError (503) when `waiting` are queued already.
    """

    def __init__(self, slots: int, waiting: int):
        self._free = asyncio.Semaphore(slots)
        self._slots, self._most = slots, waiting
        self.running = self.waiting = 0

    @contextlib.asynccontextmanager
    async def slot(self):
        if self.running >= self._slots and self.waiting >= self._most:
            raise ServingError(
                f"the server is busy: {self.waiting} requests wait already, try again later",
                status=503,
                code="overloaded",
            )
        self.waiting += 1
        try:
            await self._free.acquire()  # first come, first served
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._free.release()


class Host(Protocol):
    """The models that are served."""

    limits: Limits

    def models(self) -> dict[str, int]:
        """The names, and when each was made (seconds since 1970)."""
        ...

    def slot(self, model: str) -> contextlib.AbstractAsyncContextManager[Engine]:
        """A place at the model, loaded if need be. Raises ServingError: unknown, busy."""
        ...

    def load(self) -> tuple[int, int]:
        """How many requests run, and how many wait."""
        ...

    def healthy(self) -> bool: ...

    async def close(self) -> None: ...


class One:
    """A host of one model that is loaded already."""

    def __init__(self, engine: Engine, limits: Limits | None = None):
        self.engine, self.limits = engine, limits or Limits()
        self._gate = Gate(engine.slots, self.limits.waiting)
        self._since = int(time.time())

    def models(self) -> dict[str, int]:
        return {self.engine.model: self._since}

    @contextlib.asynccontextmanager
    async def slot(self, model: str):
        if model != self.engine.model:
            raise unknown(model, self.models())
        async with self._gate.slot():
            yield self.engine

    def load(self) -> tuple[int, int]:
        return self._gate.running, self._gate.waiting

    def healthy(self) -> bool:
        return self.engine.healthy()

    async def close(self) -> None:
        await self.engine.close()


def unknown(model: str, known) -> ServingError:
    there = ", ".join(known) or "none"
    return ServingError(f"model {model!r} not found; there is {there}", 404, "model_not_found")


class Meter:
    """Prometheus metrics of the server, all named course_*."""

    def __init__(self, host: Host):
        self.registry = CollectorRegistry()

        def of(kind, name, text, labels=(), **options):
            return kind(f"course_{name}", text, labels, registry=self.registry, **options)

        buckets = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
        self.requests = of(Counter, "requests", "Requests answered", ["path", "status"])
        self.seconds = of(Histogram, "request_seconds", "Of a whole request", buckets=buckets)
        self.first = of(
            Histogram, "first_token_seconds", "From the slot to the first token", buckets=buckets
        )
        self.prompt = of(Counter, "prompt_tokens", "Tokens read")
        self.cached = of(Counter, "cached_tokens", "Of these, tokens that a cache spared")
        self.completion = of(Counter, "completion_tokens", "Tokens written")
        self.writing = of(Counter, "completion_seconds", "Time spent on writing them")
        of(Gauge, "requests_running", "Answers being written").set_function(lambda: host.load()[0])
        of(Gauge, "requests_waiting", "Requests in the queue").set_function(lambda: host.load()[1])

    def count(self, delta: Delta) -> None:
        """The tokens and seconds of an answer's last delta."""
        if usage := delta.usage:
            self.prompt.inc(usage.prompt_tokens)
            self.cached.inc(usage.cached_tokens)
            self.completion.inc(usage.completion_tokens)
            self.writing.inc(usage.completion_seconds)
            if usage.prompt_seconds is not None:
                self.first.observe(usage.prompt_seconds)


def build(host: Host, doors: list[type["Door"]], api_key: str = "", anywhere=False) -> Starlette:
    """The app. api_key: what clients must send, if any. anywhere: by any name of this machine, not
    only its loopback's: otherwise a page in a browser could reach the server by a name of its own.
    """
    meter = Meter(host)

    async def health(request: Request) -> Response:
        fine = host.healthy()
        return JSONResponse({"status": "ok" if fine else "failed"}, 200 if fine else 503)

    async def metrics(request: Request) -> Response:
        return PlainTextResponse(generate_latest(meter.registry))

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette):
        yield
        await host.close()

    middleware = [Middleware(Measured, meter=meter)]
    if not anywhere:
        names = ["127.0.0.1", "localhost", "::1", "[::1]"]
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=names))
    if api_key:
        middleware.append(Middleware(Keyed, key=api_key))
    routes = [Route("/health", health), Route("/metrics", metrics)]
    routes += [route for door in doors for route in door(host, meter).routes()]
    return Starlette(
        routes=routes,
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={HTTPException: _refused},
    )


async def _refused(request: Request, error: HTTPException) -> Response:
    """Unknown paths and methods, in a form that both kinds of clients read."""
    return JSONResponse({"error": {"message": error.detail, "code": None}}, error.status_code)


class Measured:
    """Counts requests and their seconds, the whole body included."""

    def __init__(self, app, meter: Meter):
        self.app, self.meter = app, meter

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begun, status = time.perf_counter(), 499  # the client left before anything was said

        async def seen(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, seen)
        finally:
            path = scope.get("course.route", "other")
            self.meter.requests.labels(path, str(status)).inc()
            if path in ANSWERING:
                self.meter.seconds.observe(time.perf_counter() - begun)


ANSWERING = {"/v1/chat/completions", "/v1/completions", "/api/chat", "/api/generate"}


class Keyed:
    """Asks for an API key, except of those who only ask how the server is."""

    def __init__(self, app, key: str):
        self.app, self._expected = app, f"Bearer {key}".encode()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["path"] != "/health":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not secrets.compare_digest(given, self._expected):
                error = {"message": "wrong or no API key", "code": "invalid_api_key"}
                return await JSONResponse({"error": error}, 401)(scope, receive, send)
        return await self.app(scope, receive, send)


class Door:
    """What a front door is built on; a subclass gives `routes` and how an error is written."""

    def __init__(self, host: Host, meter: Meter):
        self.host, self.meter = host, meter

    def routes(self) -> list[Route]:
        raise NotImplementedError

    def refusal(self, error: ServingError) -> dict:
        """An error as this API writes it."""
        raise NotImplementedError

    def post(self, path: str, handler: Callable[[dict], Awaitable[Response]]) -> Route:
        """A route for a JSON object; when the client leaves first, the handler is cancelled."""

        async def answer(request: Request) -> Response:
            content = await json_body(request, self.host.limits.body)
            return await unless_gone(request, handler(content))

        return self.route(path, answer, ["POST"])

    def route(self, path: str, handler, methods: list[str]) -> Route:
        """A route whose handler may raise ServingError."""

        async def answer(request: Request) -> Response:
            request.scope["course.route"] = path
            try:
                return await handler(request)
            except ServingError as error:
                return JSONResponse(self.refusal(error), error.status)
            except ClientDisconnect:
                return Response(status_code=499)  # nobody reads it

        return Route(path, answer, methods=methods)

    def write(self, model: str, asks: list[Ask]) -> "Writing":
        return Writing(self.host, self.meter, model, asks)

    async def stream(self, pieces: AsyncIterator[bytes], media_type: str) -> Response:
        """A response of pieces. What goes wrong before the first has a status of its own."""
        try:
            first = await anext(pieces)
        except BaseException:
            await pieces.aclose()
            raise

        async def all_of_them():
            try:
                yield first
                async for piece in pieces:
                    yield piece
            finally:
                await pieces.aclose()

        return StreamingResponse(all_of_them(), media_type=media_type)


class Writing:
    """Answers that are being written, each in a task of its own, from the queue to the end.

    Iterate for (number of the answer, Delta); raises ServingError. Used with `async with`, which
    ends what is not finished.
    """

    def __init__(self, host: Host, meter: Meter, model: str, asks: list[Ask]):
        self._host, self._meter, self._model, self._asks = host, meter, model, asks
        self._news: asyncio.Queue = asyncio.Queue()
        self._tasks: list[asyncio.Task] = []

    async def __aenter__(self) -> "Writing":
        self._tasks = [asyncio.create_task(self._write(n, ask)) for n, ask in enumerate(self._asks)]
        return self

    async def __aexit__(self, *_) -> None:
        left = [task for task in self._tasks if not task.done()]
        for task in left:
            task.cancel()
        if not left:
            return
        # Shielded: a request that is cancelled cancels again what it waits for, and an engine could
        # not end its work.
        await asyncio.shield(asyncio.gather(*left, return_exceptions=True))

    async def __aiter__(self) -> AsyncIterator[tuple[int, Delta]]:
        left = len(self._tasks)
        while left:
            number, news = await self._news.get()
            if isinstance(news, ServingError):
                raise news
            left -= news.finish is not None
            yield number, news

    async def _write(self, number: int, ask: Ask) -> None:
        seconds = self._host.limits.seconds
        try:
            async with (
                asyncio.timeout(seconds),
                self._host.slot(self._model) as engine,
                contextlib.aclosing(engine.answer(ask)) as answer,
            ):
                async for delta in answer:
                    self._meter.count(delta)
                    self._news.put_nowait((number, delta))
        except TimeoutError:
            late = ServingError(f"no answer within {seconds:g} s", status=504, code="timeout")
            self._news.put_nowait((number, late))
        except ServingError as error:
            self._news.put_nowait((number, error))
        except Exception as error:
            failed = ServingError(f"the server failed: {error!r}", status=500)
            self._news.put_nowait((number, failed))
            raise


async def unless_gone(request: Request, work: Awaitable[Response]) -> Response:
    """The work's result; raises ClientDisconnect, and ends the work, when the client leaves.

    The request's body must have been read.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def json_body(request: Request, limit: int) -> dict:
    """The request's JSON object. Raises ServingError: too large (413), or not one (400)."""
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > limit:
            raise ServingError(f"the request is larger than {limit:,} bytes", status=413)
    try:
        content = json.loads(read.decode("utf-8"))
        json.dumps(content, ensure_ascii=False).encode("utf-8")  # half of a surrogate pair is none
    except (UnicodeError, json.JSONDecodeError, RecursionError) as error:
        raise ServingError(f"the body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ServingError("the body is not a JSON object")
    return content
