"""ONNX Runtime GenAI as a runtime: its engine, which writes several answers at once.

The engine, on a CPU, has no seed for a single request and shows no logits. Requests that want
either get a generator of their own, which has both and shares no batch.
"""

import json
import math

import numpy as np

from helpers import model as models
from helpers.backends.llama_cpp import default_threads
from helpers.serving.batched import Job, Token
from helpers.serving.engine import ServingError
from helpers.serving.grammar import lark, refused

TOKEN, FINISHED, BLOCKED, FAILED = 1, 2, 4, 8  # of EngineEventFlags


class Onnx:
    """A `Runtime`. model, precision: see `helpers.model.onnx`; provider: one of `providers()`."""

    name = "onnx"
    can = frozenset({"json_schema", "tools", "seed", "logprobs", "repeat_penalty"})

    def __init__(
        self,
        model: str = "edge-slm",
        precision: str = "int4",
        slots: int = 8,
        context: int = 2048,
        threads: int | None = None,
        provider: str = "cpu",
    ):
        import onnxruntime_genai

        self._lib = onnxruntime_genai
        self.folder = folder = models.onnx(model, precision)
        config = onnxruntime_genai.Config(str(folder))
        if provider not in providers():
            raise ServingError(f"no provider {provider!r} here; there is {', '.join(providers())}")
        config.clear_providers()
        if provider != "cpu":
            config.append_provider(provider)
        size = sum(file.stat().st_size for file in folder.glob("*.onnx*"))
        options = {"intra_op_num_threads": threads or default_threads(size)}
        settings = {
            "engine": {"static_batching": {"max_batch_size": slots}},
            "model": {"decoder": {"session_options": options}},
            "search": {"max_length": context},
        }
        config.overlay(json.dumps(settings))
        self.slots, self.context = slots, context
        self._model = onnxruntime_genai.Model(config)
        self._engine = onnxruntime_genai.Engine(self._model)
        self._tokenizer = onnxruntime_genai.Tokenizer(self._model)
        self._ends = set(map(int, self._tokenizer.eos_token_ids))
        self._news = self._engine.create_event_buffer(4 * slots)
        self._batched: dict[object, Job] = {}
        self._alone: list[Job] = []

    def add(self, job: Job) -> None:
        sampling = job.sampling
        try:
            if sampling.logprobs is not None or sampling.seed is not None:
                job.state = self._generator(job)
                self._alone.append(job)
            else:
                job.state = self._request(job)
                self._batched[job.state] = job
        except RuntimeError as error:  # the library has no other kind; so far it has only read
            if job.constraint:
                raise refused(error) from error
            raise ServingError(f"{self.name} refuses this request: {error}") from error

    def step(self) -> list[tuple[Job, list[Token], str | None]]:
        news = [self._next(job) for job in self._alone]
        for job, _, finish in news:
            if finish:
                self._alone.remove(job)
        if self._batched:
            for event in self._engine.run(self._news):
                if event.request not in self._batched:
                    continue
                job, flags = self._batched[event.request], event.flags.value
                tokens = [Token(event.token)] if flags & TOKEN else []
                finish = None
                if flags & FAILED:
                    raise RuntimeError(f"the engine failed: {event.error_code}")
                if flags & FINISHED:
                    ended = event.finish_reason == self._lib.FinishReason.EOS
                    finish = "stop" if ended else "length"
                    job.cached = event.usage.cached_prompt_tokens
                    self._forget(job)
                news.append((job, tokens, finish))
        return news

    def remove(self, job: Job) -> None:
        if job in self._alone:
            self._alone.remove(job)
        else:
            self._forget(job)

    def close(self) -> None:
        for job in list(self._batched.values()):
            self._forget(job)

    def _forget(self, job: Job) -> None:
        del self._batched[job.state]
        job.state.close()

    def _request(self, job: Job):
        sampling = job.sampling
        request = self._engine.create_request()
        options = self._lib.TurnOptions(request)
        options.set_max_generated_tokens(job.max_tokens)
        options.set_do_sample(sampling.temperature > 0)
        if sampling.temperature > 0:
            options.set_temperature(sampling.temperature)
            options.set_top_p(sampling.top_p)
            options.set_top_k(sampling.top_k)
        if sampling.repeat_penalty != 1:
            options.set_repetition_penalty(sampling.repeat_penalty)
        if sampling.ignore_eos:
            options.set_min_generated_tokens(job.max_tokens)
        if job.constraint:
            options.set_guidance("lark_grammar", lark(job.constraint))
        request.begin_turn(np.array(job.prompt, np.int32), options)
        return request

    def _generator(self, job: Job):
        sampling = job.sampling
        length = len(job.prompt) + job.max_tokens
        parameters = self._lib.GeneratorParams(self._model)
        parameters.set_search_options(
            max_length=length,
            min_length=length if sampling.ignore_eos else 0,
            do_sample=sampling.temperature > 0,
            repetition_penalty=sampling.repeat_penalty,
        )
        if sampling.temperature > 0:
            parameters.set_search_options(
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                top_k=sampling.top_k,
                random_seed=-1 if sampling.seed is None else sampling.seed,
            )
        if job.constraint:
            parameters.set_guidance("lark_grammar", lark(job.constraint))
        generator = self._lib.Generator(self._model, parameters)
        generator.append_tokens(np.array(job.prompt, np.int32))
        return generator

    def _next(self, job: Job) -> tuple[Job, list[Token], str | None]:
        generator, wanted = job.state, job.sampling.logprobs
        # read before the step: what follows the logits is chosen from them
        logits = None if wanted is None else np.array(generator.get_logits()).reshape(-1)
        generator.generate_next_token()
        number = int(generator.get_next_tokens()[0])
        ended = number in self._ends and not job.sampling.ignore_eos
        token = Token(number) if logits is None else _scored(number, logits, wanted)
        finish = "stop" if ended else "length" if generator.is_done() else None
        return job, [] if ended else [token], finish


def _scored(number: int, logits: np.ndarray, wanted: int) -> Token:
    logits = logits.astype(np.float64)
    logprobs = logits - logits.max()
    logprobs -= math.log(np.exp(logprobs).sum())
    best = np.argsort(-logprobs)[:wanted]
    return Token(number, float(logprobs[number]), tuple((int(n), float(logprobs[n])) for n in best))


def providers() -> list[str]:
    """The execution providers that this installation can use, the CPU's always among them."""
    import onnxruntime_genai as lib

    there = {
        "cpu": True,
        "cuda": lib.is_cuda_available(),
        "dml": lib.is_dml_available(),
        "qnn": lib.is_qnn_available(),
        "openvino": lib.is_openvino_available(),
        "webgpu": lib.is_webgpu_available(),
    }
    return [name for name, here in there.items() if here]
