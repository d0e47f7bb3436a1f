"""The models of a server like Ollama's: on disk by name, loaded when asked for, ended when idle.

The folder has GGUF files as `blobs/sha256-...` and what a name stands for as `manifests/*.json`.
The course's own models are there from the beginning, without either, until they are deleted.
"""

import asyncio
import contextlib
import hashlib
import importlib.util
import json
import math
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from helpers import model as models
from helpers.backends import llama_cpp
from helpers.backends.errors import BackendError
from helpers.serving.app import Gate, Limits
from helpers.serving.blobs import Copying, Quantizing, digest_of, unfinished
from helpers.serving.engine import Ask, Delta, Sampling, ServingError
from helpers.serving.gguf_header import Gguf, read_gguf
from helpers.serving.llama import Llama
from helpers.serving.named import DEFAULTS, HOST, NAMESPACE, Model, Name, human, sampling

_DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")
Tell = Callable[[dict], object]
# The tags under which the course's models are known, and their types.
COURSE = {"latest": "Q8_0", "q8_0": "Q8_0", "f16": "F16"}


# ---- the models that are loaded


@dataclass(eq=False)
class Loaded:
    """A model in its process. options: of loading it, context and threads."""

    model: Model
    engine: Llama
    gate: Gate
    options: tuple[int, int | None]
    keep: float  # seconds that it stays when nobody uses it
    users: int = 0
    used: float = field(default_factory=time.monotonic)
    leaving: bool = False
    timer: asyncio.TimerHandle | None = None

    @property
    def expires(self) -> float:
        """Seconds since 1970; a long time for one that stays."""
        left = self.keep if self.users else self.keep - (time.monotonic() - self.used)
        return time.time() + min(left, 290 * 365 * 86400)


@dataclass
class Visit:
    """One request's way to a model: a `Host` of that model alone."""

    library: "Library"
    model: Model
    options: dict
    keep: float | None
    load_seconds: float = 0.0

    @property
    def limits(self) -> Limits:
        return self.library.limits

    @contextlib.asynccontextmanager
    async def slot(self, model: str = ""):
        async with self.loaded() as loaded, loaded.gate.slot():
            yield loaded.engine

    @contextlib.asynccontextmanager
    async def loaded(self):
        begun = time.perf_counter()
        async with self.library.loaded(self.model, self.options, self.keep) as loaded:
            self.load_seconds = time.perf_counter() - begun
            yield loaded


class Speaking:
    """An engine with a model's own words in each conversation."""

    def __init__(self, engine: Llama, model: Model):
        self._engine, self._model = engine, model

    def __getattr__(self, name: str):
        return getattr(self._engine, name)

    def answer(self, ask: Ask) -> AsyncIterator[Delta]:
        if ask.messages is not None:
            ask = replace(ask, messages=self._model.conversation(ask.messages))
        # What the client left out is as the model has it; temperature and top_p are OpenAI's then.
        given, own = ask.sampling, sampling(self._model.parameters)
        for name in {one.name for one in fields(Sampling)} - {"temperature", "top_p"}:
            if getattr(given, name) == getattr(Sampling, name):
                given = replace(given, **{name: getattr(own, name)})
        return self._engine.answer(replace(ask, sampling=given))


class Library:
    """A `Host` of many models.

    folder: where they are, `helpers.model.cache() / "ollama"` without it. most: how many are loaded
    at once. slots: answers that each writes at once. keep: seconds that an idle one stays. context:
    tokens, where nobody says how many. largest: bytes of a blob.
    """

    def __init__(
        self,
        folder: Path | None = None,
        limits: Limits | None = None,
        most: int = 3,
        slots: int = 4,
        keep: float = 300,
        context: int = 4096,
        largest: int = 64_000_000_000,
    ):
        self.limits, self.keep, self.largest = limits or Limits(), keep, largest
        self._most, self._slots, self._context = most, slots, context
        folder = folder or models.cache() / "ollama"
        self._blobs, self._manifests = folder / "blobs", folder / "manifests"
        try:
            for place in (self._blobs, self._manifests):
                place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RuntimeError(
                f"the models' folder {folder} cannot be written ({error.strerror}): set "
                f"XDG_CACHE_HOME to a folder you can write to"
            ) from error
        self._built: dict[tuple[str, str], Model] = {}
        self._loaded: dict[str, Loaded] = {}
        self._loading: dict[str, asyncio.Task] = {}
        self._changing = asyncio.Lock()  # held while models are loaded and make room
        self._freed = asyncio.Event()
        self._arriving = 0
        self._making = 0  # models: meanwhile no file is cleared away
        self._tasks: set[asyncio.Task] = set()
        self._clear(older=3600)

    # ---- a host

    def models(self) -> dict[str, int]:
        return {name: int(since) for name, since in self._names().items()}

    @contextlib.asynccontextmanager
    async def slot(self, model: str):
        found = await asyncio.to_thread(self.find, model)
        async with self.visit(found).slot() as engine:
            yield Speaking(engine, found)

    def load(self) -> tuple[int, int]:
        gates = [loaded.gate for loaded in self._loaded.values()]
        return sum(g.running for g in gates), sum(g.waiting for g in gates) + self._arriving

    def healthy(self) -> bool:
        return True  # a model whose process has ended is loaded again

    async def close(self) -> None:
        await asyncio.gather(*self._loading.values(), return_exceptions=True)
        for loaded in list(self._loaded.values()):
            await self._end(loaded)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---- loading

    def visit(self, model: Model, options: dict | None = None, keep: float | None = None) -> Visit:
        """options: checked ones, over the model's own. keep: seconds; None: as it is."""
        return Visit(self, model, DEFAULTS | model.parameters | (options or {}), keep)

    def running(self) -> list[Loaded]:
        return sorted(self._loaded.values(), key=lambda loaded: loaded.expires, reverse=True)

    def unload(self, model: Model) -> None:
        """End a model's process, as soon as nobody uses it."""
        if loaded := self._loaded.get(model.key):
            loaded.keep = 0
            if not loaded.users:
                self._rest(loaded)

    @contextlib.asynccontextmanager
    async def loaded(self, model: Model, options: dict, keep: float | None):
        """A model, loaded, that stays while it is used here."""
        if self._arriving >= self.limits.waiting:
            raise ServingError(
                "server busy, please try again.  maximum pending requests exceeded",
                status=503,
                code="overloaded",
            )
        self._arriving += 1
        try:
            loaded = await self._ready(model, self._how(model, options))
        finally:
            self._arriving -= 1
        loaded.users += 1
        loaded.model = model
        loaded.keep = loaded.keep if keep is None else keep
        if loaded.timer:
            loaded.timer.cancel()
        try:
            yield loaded
        finally:
            loaded.users -= 1
            loaded.used = time.monotonic()
            if not loaded.users:
                self._rest(loaded)
                self._freed.set()

    def _how(self, model: Model, options: dict) -> tuple[int, int | None]:
        values = model.metadata().values
        trained = values.get(f"{model.metadata().family}.context_length")
        context = options.get("num_ctx", 0)
        context = context if context > 0 else self._context
        threads = min(options.get("num_thread", 0), os.cpu_count() or 1)
        context = min(context, trained) if isinstance(trained, int) and trained > 0 else context
        return max(context, 4), threads if threads > 0 else None

    async def _ready(self, model: Model, options: tuple) -> Loaded:
        while True:
            loaded = self._loaded.get(model.key)
            fits = loaded and not loaded.leaving and loaded.options == options
            if fits and loaded.engine.healthy():
                return loaded
            task = self._loading.get(model.key)
            if task is None:
                task = self._loading[model.key] = _task(self._load(model, options))
            await asyncio.shield(task)  # the client may leave; others wait for the same

    async def _load(self, model: Model, options: tuple) -> None:
        try:
            async with self._changing:
                if old := self._loaded.get(model.key):  # with other options, or dead
                    await self._end(old)
                while len(self._loaded) >= self._most:
                    idle = [loaded for loaded in self._loaded.values() if not loaded.users]
                    if idle:
                        await self._end(min(idle, key=lambda loaded: loaded.used))
                    else:
                        self._freed.clear()
                        await self._freed.wait()
                engine = await asyncio.to_thread(self._start, model, options)
                gate = Gate(engine.slots, self.limits.waiting)
                loaded = Loaded(model, engine, gate, options, self.keep)
                self._loaded[model.key] = loaded
                self._rest(loaded)
        finally:
            del self._loading[model.key]

    def _start(self, model: Model, options: tuple) -> Llama:
        context, threads = options
        file = (model.path, model.name, self._slots)
        try:
            return Llama(*file, context, threads, model.template, model.embeds)
        except BackendError as error:
            raise ServingError(f"the model {model.name} does not load: {error}", 500) from error

    def _rest(self, loaded: Loaded) -> None:
        """Nobody uses it: it ends after its time."""
        if loaded.timer:
            loaded.timer.cancel()
        if loaded.keep < math.inf:
            loop = asyncio.get_running_loop()
            loaded.timer = loop.call_later(max(0, loaded.keep), self._leave, loaded)

    def _leave(self, loaded: Loaded) -> None:
        if not loaded.users and not loaded.leaving:
            task = _task(self._end(loaded))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _end(self, loaded: Loaded) -> None:
        """End a model's process, when those that use it have their answers."""
        loaded.leaving = True
        while loaded.users and loaded.engine.healthy():
            self._freed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._freed.wait(), 1)
        if loaded.timer:
            loaded.timer.cancel()
        if self._loaded.get(loaded.model.key) is loaded:
            del self._loaded[loaded.model.key]
        await loaded.engine.close()

    # ---- what there is

    def find(self, text: str) -> Model:
        """The model of a name; the course's are built at their first use. Raises ServingError."""
        name = self._name(text)
        manifest = self._manifest(name.file) if name.host.lower() == HOST else None
        course = self._course(name)
        if manifest:
            found = self._stored(manifest)
        else:
            found = self._build(*course, name) if course else None
        if found is None:
            raise ServingError(f"model '{text}' not found", 404, "model_not_found")
        found.metadata()  # read here, in a thread: a large vocabulary takes a second
        return found

    def all(self) -> list[Model]:
        """The newest first."""
        found = []
        for name in self._names():
            with contextlib.suppress(ServingError):  # deleted since
                found.append(self.find(name))
        return sorted(found, key=lambda model: -model.modified)

    def copy(self, source: str, target: str) -> None:
        if Name.read(source) is None:
            raise ServingError(f'source "{source}" is invalid')
        name = Name.read(target)
        if name is None or name.host.lower() != HOST:
            raise ServingError(f'destination "{target}" is invalid')
        try:
            model = self.find(source)
        except ServingError as error:
            raise ServingError(f'model "{source}" not found', error.status, error.code) from None
        if model.path.parent != self._blobs:
            Copying(model.path, self._blobs).run()
        self._write(name, model.stored())

    async def delete(self, text: str) -> None:
        if (name := Name.read(text)) is None:
            raise ServingError(f'name "{text}" is invalid')
        model = await asyncio.to_thread(self.find, text)
        if self._course(name):
            self._write(name, {"name": str(name), "deleted": True})
        else:
            (self._manifests / name.file).unlink(missing_ok=True)
        await self._drop(model)

    async def _drop(self, model: Model) -> None:
        """A name does not stand for it any more: end and remove what no other name needs."""
        others = await asyncio.to_thread(lambda: list(self._every()))
        if all(other.key != model.key for other in others):
            self.unload(model)
        await asyncio.to_thread(self._clear, only=model.digest)

    def details(self, model: Model) -> dict:
        metadata = model.metadata()
        return {
            "parent_model": model.parent,
            "format": "gguf",
            "family": metadata.family,
            "families": [metadata.family],
            "parameter_size": human(metadata.parameters),
            "quantization_level": metadata.quant,
        }

    def _name(self, text: str) -> Name:
        if not text.strip():
            raise ServingError("model is required")
        if (name := Name.read(text)) is None:
            raise ServingError("invalid model name")
        return name

    def _names(self) -> dict[str, float]:
        """All names, and since when they are there."""
        names, known = {}, set()
        for path in self._manifests.glob("*.json"):
            manifest = self._manifest(path.name)
            known.add(path.name)
            if manifest and not manifest.get("deleted"):
                with contextlib.suppress(OSError):
                    names[manifest["name"]] = path.stat().st_mtime
        for model in models.names():
            for tag in COURSE:
                name = Name(HOST, NAMESPACE, model, tag)
                if name.file not in known:
                    names[str(name)] = (models.MODELS / model).stat().st_mtime
        return names

    def _course(self, name: Name) -> tuple[str, str] | None:
        """A course's model and its type, if that is what the name stands for."""
        model, tag = name.model.lower(), name.tag.lower()
        ours = name.host.lower() == HOST and name.namespace.lower() == NAMESPACE
        return (model, COURSE[tag]) if ours and tag in COURSE and model in models.names() else None

    def _build(self, model: str, quant: str, name: Name) -> Model:
        if (model, quant) not in self._built:
            try:
                path = models.gguf(model, quant)
            except models.ModelError as error:
                raise ServingError(str(error), status=500) from error
            since = (models.MODELS / model).stat().st_mtime
            self._built[model, quant] = Model(
                model, path, digest_of(path), path.stat().st_size, since
            )
        return replace(self._built[model, quant], name=str(name).lower())

    def _manifest(self, file: str) -> dict | None:
        """What is written of a name; None where nothing is, or nothing that can be read."""
        try:
            manifest = json.loads((self._manifests / file).read_text(encoding="utf-8"))
            return manifest if Name.read(manifest["name"]).file == file else None
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None

    def _stored(self, manifest: dict) -> Model | None:
        """The model of a manifest; None for one that was deleted, by hand even."""
        if manifest.get("deleted"):
            return None
        file = self._manifests / Name.read(manifest["name"]).file
        try:
            path = self._blob(manifest["digest"])
            path.stat()
            values = manifest | {name: tuple(manifest[name]) for name in ("license", "messages")}
            return Model(**values, path=path, modified=file.stat().st_mtime)
        except (OSError, LookupError, TypeError, ServingError):
            return None

    def _every(self) -> Iterator[Model]:
        """All models that have a manifest."""
        for path in self._manifests.glob("*.json"):
            manifest = self._manifest(path.name)
            if manifest and (model := self._stored(manifest)):
                yield model

    def _write(self, name: Name, manifest: dict) -> None:
        path = self._manifests / name.file
        if old := self._manifest(name.file):
            name = Name.read(old["name"])  # as it was first written, capitals and all
        with unfinished(self._manifests) as partial:
            text = json.dumps(manifest | {"name": str(name)}, ensure_ascii=False, indent=1)
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, path)

    # ---- blobs

    def has_blob(self, digest: str) -> bool:
        return self._blob(digest).is_file()

    async def add_blob(self, digest: str, chunks: AsyncIterator[bytes]) -> bool:
        """Keep a file that comes in pieces; False when it was there. Raises ServingError."""
        path, size, begun = self._blob(digest), 0, hashlib.sha256()
        there = path.is_file()
        with unfinished(self._blobs) as partial, partial.open("wb") as file:
            async for chunk in chunks:
                size += len(chunk)
                if size > self.largest:
                    raise ServingError(f"the file is larger than {self.largest:,} bytes", 413)
                if not there:
                    begun.update(chunk)
                    await asyncio.to_thread(file.write, chunk)
            file.close()
            if there:
                return False
            found = "sha256:" + begun.hexdigest()
            if found[7:] != path.name[7:]:
                wanted = digest.lower().replace("-", ":")
                raise ServingError(f'digest mismatch, expected "{wanted}", got "{found}"')
            os.replace(partial, path)
        return True

    def _blob(self, digest: str) -> Path:
        if not (found := _DIGEST.fullmatch(digest)):
            raise ServingError("invalid digest format")
        return self._blobs / f"sha256-{found[1].lower()}"

    def _clear(self, older: float = 0, only: str = "") -> None:
        """Remove blobs that no model has, and what was never finished."""
        if self._making:
            return  # it is done when the server starts again
        used = {self._blob(model.digest) for model in self._every()}
        kinds = [self._blob(only).name] if only else ["sha256-*", "partial-*"]
        for path in [path for kind in kinds for path in self._blobs.glob(kind)]:
            with contextlib.suppress(OSError):  # Windows does not give up a file that is read
                if path not in used and time.time() - path.stat().st_mtime >= older:
                    path.unlink()

    # ---- making models; `tell` hears what Ollama reports of the progress

    async def pull(self, text: str, tell: Tell) -> None:
        """A course's model, copied here; there is no other place to pull from."""
        if (name := Name.read(text)) is None:
            raise ServingError("invalid model name")
        tell({"status": "pulling manifest"})
        if (course := self._course(name)) is None:
            raise ServingError("pull model manifest: file does not exist", 404)
        model = await asyncio.to_thread(self._build, *course, name)
        line = {"status": f"pulling {model.digest[7:19]}", "digest": model.digest}
        await self._keep(model, lambda done: tell(line | {"total": model.size, "completed": done}))
        tell({"status": "verifying sha256 digest"})
        if await asyncio.to_thread(digest_of, self._blob(model.digest)) != model.digest:
            raise ServingError("digest mismatch, file must be downloaded again", 500)
        tell({"status": "writing manifest"})
        self._write(name, model.stored())
        tell({"status": "success"})

    async def create(
        self,
        text: str,
        tell: Tell,
        base: str = "",
        files: dict[str, str] | None = None,
        quantize: str = "",
        **changes,
    ) -> None:
        """base: a model's name. files: names, and digests of blobs. changes: fields of `Model`."""
        name = Name.read(text)
        if name is None or name.host.lower() != HOST:
            raise ServingError("invalid model name")
        old = self._manifest(name.file)
        replaced = self._stored(old) if old else None
        self._making += 1
        try:
            if base:
                model = await self._based(base, tell)
            elif files is not None:
                model = await self._uploaded(files, tell)
            else:
                raise ServingError("neither 'from' or 'files' was specified")
            made = await self._quantized(model, quantize.upper(), tell) if quantize else model
            layer = "using existing" if made is model else "creating new"
            tell({"status": f"{layer} layer {made.digest}"})
            changes["parameters"] = model.parameters | changes.get("parameters", {})
            changes["license"] = (*model.license, *changes.get("license", ()))
            made = replace(made, **{key: value for key, value in changes.items() if value})
            tell({"status": "writing manifest"})
            self._write(name, made.stored())
        finally:
            self._making -= 1
        if replaced:
            await self._drop(replaced)
        tell({"status": "success"})

    async def _based(self, base: str, tell: Tell) -> Model:
        try:
            model = await asyncio.to_thread(self.find, base)
        except ServingError as error:
            if error.status != 404:
                raise
            await self.pull(base, lambda line: line["status"] == "success" or tell(line))
            model = await asyncio.to_thread(self.find, base)
        await self._keep(model)
        return replace(model, parent=str(Name.read(base)), path=self._blob(model.digest))

    async def _uploaded(self, files: dict[str, str], tell: Tell) -> Model:
        path = self._sent(files)
        tell({"status": "parsing GGUF"})
        metadata = await asyncio.to_thread(read_gguf, path)
        tell({"status": "validating GGUF model"})
        await asyncio.to_thread(self._try, path, metadata)
        return self._of_blob(path.name.replace("-", ":"))

    def _of_blob(self, digest: str) -> Model:
        path = self._blob(digest)
        return Model("", path, digest, path.stat().st_size, time.time())

    def _sent(self, files: dict[str, str]) -> Path:
        if len(files) != 1:
            raise ServingError("one GGUF file makes a model here" if files else "no files provided")
        ((file, digest),) = files.items()
        if file.startswith("/") or "\\" in file or ".." in file.split("/"):
            raise ServingError("file path must be relative")
        path = self._blob(digest)
        if not path.is_file():
            raise ServingError(f'blob "{digest}" not found: send it first', 400)
        with path.open("rb") as content:
            if content.read(4) != b"GGUF":
                raise ServingError("supplied file was not in GGUF format")
        os.utime(path)  # it counts as new: no one is to clear it away now
        return path

    def _try(self, path: Path, metadata: Gguf) -> None:
        """Whether llama.cpp loads it."""
        more = {"vectors": "own"} if metadata.made_for_embeddings else {}
        try:
            llama_cpp.child(path, "new", 1, 256, 1, 600, **more).close()
        except BackendError as error:
            reason = [line for line in str(error).splitlines() if "error" in line.lower()]
            why = f": {reason[0].split('E ')[-1].strip()}" if reason else ""
            raise ServingError(f"llama.cpp does not load this GGUF file{why}") from error

    async def _keep(self, model: Model, tick: Callable[[int], None] | None = None) -> None:
        """Have a model's file among the blobs. tick: hears how many bytes are there."""
        tick = tick or (lambda done: None)
        if not self._blob(model.digest).is_file():
            work = Copying(model.path, self._blobs)
            await _watched(work.run, lambda: tick(work.done))
        tick(model.size)

    async def _quantized(self, model: Model, quant: str, tell: Tell) -> Model:
        was = model.metadata().quant
        if not re.fullmatch(r"F16|BF16|F32|I?Q\d_[A-Z0-9_]+", quant):
            raise ServingError(f"unsupported quantization type {quant}")
        if was not in {"F16", "BF16", "F32"}:
            raise ServingError("quantization is only supported for F16, BF16 and F32 models")
        if importlib.util.find_spec("llama_cpp") is None:
            raise ServingError(
                "quantizing needs llama-cpp-python where this server runs: uv sync --inexact "
                '--extra inside, or pip install -c constraints.txt -e ".[inside]"'
            )
        if quant == was:
            return model
        line = {"status": f"quantizing {was} model to {quant}", "digest": model.digest}
        line |= {"total": model.size}
        work = Quantizing(model.path, self._blobs, quant)
        try:
            digest = await _watched(
                work.run, lambda: tell(line | {"completed": int(model.size * work.part)})
            )
        finally:
            work.stop()
        tell({"status": "verifying conversion"})
        await asyncio.to_thread(read_gguf, self._blob(digest))
        new = self._of_blob(digest)
        return replace(model, digest=digest, path=new.path, size=new.size)


def _task(work: Coroutine) -> asyncio.Task:
    """A task whose error may go unheard, when those who waited for it have left."""
    task = asyncio.create_task(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


async def _watched(work: Callable[[], str], tick: Callable[[], None]) -> str:
    """What work returns, done in a thread; tick is called ten times a second, and at the end."""
    task = _task(asyncio.to_thread(work))
    while not task.done():
        tick()
        await asyncio.wait({task}, timeout=0.1)
    result = task.result()
    tick()
    return result
