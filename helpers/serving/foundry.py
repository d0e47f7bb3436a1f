"""Foundry Local as a runtime: the SDK's native library, with the course's ONNX folder registered.

Its own way with tools writes another system text than the model learnt, and wants calls in another
form, which the model never makes. So the folder that is registered here has a template that passes
a rendered prompt through, and the text that comes back is read by the server as everywhere.
"""

import hashlib
import json
import os
import queue
import shutil
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from tokenizers import Tokenizer

from helpers import model as models
from helpers.serving.batched import Job, Token
from helpers.serving.engine import ServingError
from helpers.serving.grammar import lark

# Without a network nothing is lost by it, with one nothing is sent: the SDK reports its process to
# Microsoft on closing and from time to time (`disable_nonessential_telemetry` leaves that), except
# on machines that say they are a CI's. Seen by the names it looks up; 2.2.1 documents no switch.
QUIET = {"CI": "true", "ORT_DISABLE_TELEMETRY": "1"}
NOWHERE = "http://127.0.0.1:9/"  # the public catalog is not asked
PASS_THROUGH = "{{- messages[0].content -}}"
SLICE = 0.05  # seconds that a step waits for news, so that who leaves is heard


@dataclass(eq=False)
class _Talk:
    """A job's thread, its request while one is under way, and the way to stop it."""

    stopped: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    request: object = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Foundry:
    """A `Runtime`. model, precision: see `helpers.model.onnx`. It does not batch: `slots` sessions
    share the cores."""

    name = "foundry"
    can = frozenset({"json_schema", "tools", "seed"})

    def __init__(
        self,
        model: str = "edge-slm",
        precision: str = "int4",
        slots: int = 8,
        context: int = 2048,
    ):
        os.environ.update(QUIET)
        import foundry_local_sdk as sdk

        self._sdk = sdk
        self.folder = models.onnx(model, precision)
        self.slots, self.context = slots, context
        self._tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self._place = tempfile.TemporaryDirectory(prefix="foundry-", ignore_cleanup_errors=True)
        place = Path(self._place.name)
        settings = sdk.Configuration(
            app_name="edge-agents-course",
            app_data_dir=str(place),
            model_cache_dir=str(place / "models"),
            logs_dir=str(place / "logs"),
            disable_nonessential_telemetry=True,
            catalog_urls=[(NOWHERE, None)],
        )
        sdk.FoundryLocalManager.initialize(settings)
        self._manager = sdk.FoundryLocalManager.instance
        local = self._manager.get_catalog(sdk.CatalogType.LOCAL)
        with sdk.ModelInfoBuilder() as information:
            information.set_string_property("task", "chat-completion")
            self._model = local.register_model(
                model_path=str(passing_through(self.folder)),
                model_id=f"{Path(model).name}:1",
                metadata=information,
            )
        self._model.load()
        self._news: queue.SimpleQueue = queue.SimpleQueue()
        self._talks: dict[Job, _Talk] = {}

    def add(self, job: Job) -> None:
        prompt = self._tokenizer.decode(job.prompt, skip_special_tokens=False)
        if "\0" in prompt:  # it would end the prompt there
            raise ServingError("foundry reads no prompt with a NUL character")
        if job.sampling.ignore_eos:
            raise ServingError("foundry has no ignore_eos", code="ignore_eos")
        talk = self._talks[job] = _Talk()
        talk.thread = threading.Thread(target=self._talk, args=(job, prompt, talk), daemon=True)
        talk.thread.start()

    def step(self) -> list[tuple[Job, list[Token], str | None]]:
        news = []
        try:
            news.append(self._news.get(timeout=SLICE))
            while True:
                news.append(self._news.get_nowait())
        except queue.Empty:
            pass
        for job, _, finish in news:
            if finish:
                self._talks.pop(job, None)
        return news

    def remove(self, job: Job) -> None:
        talk = self._talks.pop(job)
        talk.stopped.set()
        while talk.thread.is_alive():
            with talk.lock:  # it is not to be closed meanwhile
                if talk.request:
                    talk.request.cancel()  # in vain before the library has begun with it
            talk.thread.join(SLICE)

    def close(self) -> None:
        for job in list(self._talks):
            self.remove(job)
        self._model.unload()
        self._manager.close()
        self._place.cleanup()

    def _talk(self, job: Job, prompt: str, talk: _Talk) -> None:
        """One answer, in a thread of its own."""
        sdk = self._sdk
        try:
            with sdk.ChatSession(self._model) as session, sdk.Request() as request:
                session.set_options(self._options(job))
                request.add_item(sdk.MessageItem.user(prompt))
                if job.watched:
                    self._streamed(job, session, request, talk)
                else:
                    self._whole(job, session, request, talk)
        except Exception as error:  # in a thread: what is not handed over is lost
            # 3: the request is not allowed, 2: the grammar is refused. A fault of the library's own
            # shows in the next request.
            wrong = getattr(error, "error_code", 0) in {2, 3}
            told = ServingError(f"foundry refuses this request: {error}", 400 if wrong else 500)
            self._news.put((job, [], told))

    def _streamed(self, job: Job, session, request, talk: _Talk) -> None:
        session.set_streaming(True)
        with session.process_streaming_request(request) as stream:
            for item in stream:
                if talk.stopped.is_set():
                    return  # leaving the block ends the work on it
                self._news.put((job, [Token(text=item.text)], None))
            with stream.final_response as final:
                self._news.put((job, [], _end(job, final)))

    def _whole(self, job: Job, session, request, talk: _Talk) -> None:
        """Without a word between, which would cost as much time as the token."""
        talk.request = request
        try:
            with session.process_request(request) as response:
                items = [response.get_item(number) for number in range(response.item_count)]
                text = "".join(part.text for item in items for part in item.parts)
                self._news.put((job, [Token(text=text)], _end(job, response)))
        finally:
            with talk.lock:
                talk.request = None

    def _options(self, job: Job):
        sampling, sdk = job.sampling, self._sdk
        extra = {}
        if job.constraint:
            extra = {"guidance_type": "lark_grammar", "guidance_data": lark(job.constraint)}
        search = sdk.SearchOptions(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            seed=-1 if sampling.seed is None else sampling.seed % 2**31,
            max_output_tokens=job.max_tokens,
        )
        return sdk.RequestOptions(search=search, additional_options=extra)


def _end(job: Job, response) -> str:
    """How an answer ended; it also counts its tokens."""
    job.written = response.get_usage().completion_tokens
    return "length" if response.finish_reason.name == "LENGTH" else "stop"


def passing_through(folder: Path) -> Path:
    """A copy of the folder, in the cache, whose template says what it is given and no more."""
    files = {file.name: file for file in folder.iterdir() if file.is_file()}
    state = json.dumps([(name, os.stat(files[name]).st_mtime_ns) for name in sorted(files)])
    key = hashlib.sha256(f"{folder} {state} {PASS_THROUGH}".encode()).hexdigest()[:12]
    target = models.cache() / f"foundry-{key}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=target.parent, prefix="building-", ignore_cleanup_errors=True
    ) as place:
        made = Path(place, target.name)
        shutil.copytree(folder, made)
        (made / "chat_template.jinja").write_text(PASS_THROUGH, encoding="utf-8")
        try:
            os.replace(made, target)
        except OSError:  # another notebook was quicker
            if not target.is_dir():
                raise
    return target
