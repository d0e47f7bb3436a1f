"""ONNX Runtime GenAI as a runtime: a generator for each answer, which take turns token by token.

The library has an engine with batches, too. On a CPU it lets a new request wait until all of the
batch have ended, and has no seed for a request and no logits.
"""

import json
import math
import os

import numpy as np

from helpers import model as models
from helpers.backends.llama_cpp import default_threads
from helpers.serving.batched import Constraint, Job, Token
from helpers.serving.engine import ServingError, Unsupported
from helpers.serving.grammar import lark, refused, spelled


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
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it would look for Microsoft's server
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
            "model": {"decoder": {"session_options": options}},
            "search": {"max_length": context},
        }
        config.overlay(json.dumps(settings))
        self.slots, self.context = slots, context
        self._model = onnxruntime_genai.Model(config)
        self._tokenizer = onnxruntime_genai.Tokenizer(self._model)
        self._ends = set(map(int, self._tokenizer.eos_token_ids))
        self._jobs: list[Job] = []
        self._first: list[tuple[Job, list[Token], str | None]] = []

    def add(self, job: Job) -> None:
        if job.constraint:
            self._check(job.constraint)
        try:
            job.state = self._generator(job)
        except RuntimeError as error:  # the library has no other kind; so far it has only read
            if "bad_alloc" in str(error) or "allocate memory" in str(error):
                raise ServingError(f"{self.name} has no memory left for this", 503) from error
            if job.constraint:
                raise refused(error) from error
            raise ServingError(f"{self.name} refuses this request: {error}") from error
        held = job.constraint
        if held and (held.required or held.schema is not None):
            # A grammar that nothing fits is noticed by an answer that ends before it begins.
            self._first.append(self._next(job))
            if not self._first[-1][1]:
                self._first.pop()
                raise refused("nothing fits it")
        self._jobs.append(job)

    def _check(self, constraint: Constraint) -> None:
        """Refuse characters that the grammar forces and the model writes with three tokens or more.

        After two of them the library goes on with U+FFFD, which the grammar does not allow.
        """
        for character in spelled(constraint):
            if len(self._tokenizer.encode(character)) > 2:
                raise Unsupported(
                    f"{self.name} cannot be held to {character!r}: the model has no token for it",
                    code="json_schema",
                )

    def step(self) -> list[tuple[Job, list[Token], str | None]]:
        news, self._first = self._first, []
        begun = {job: finish for job, _, finish in news}
        news += [self._next(job) for job in self._jobs if not begun.get(job)]
        for job, _, finish in news:
            if finish:
                self._jobs.remove(job)
        return news

    def remove(self, job: Job) -> None:
        self._jobs.remove(job)
        self._first = [one for one in self._first if one[0] is not job]

    def close(self) -> None:
        self._jobs.clear()

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
                random_seed=-1 if sampling.seed is None else sampling.seed % 2**31,
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
        try:
            generator.generate_next_token()
        except RuntimeError as error:  # of this answer alone
            return job, [], ServingError(f"{self.name} cannot go on: {error}"[:300], status=500)
        number = int(generator.get_next_tokens()[0])
        ended = number in self._ends
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
