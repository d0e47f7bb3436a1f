"""Apple MLX as a runtime: mlx-lm's batch generator, on a Mac's GPU or any CPU."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

from helpers import model as models
from helpers.serving.batched import Job, Token
from helpers.serving.engine import Sampling
from helpers.serving.grammar import lark, refused
from helpers.serving.text import Text

REMEMBERED = 64_000_000  # bytes of keys and values kept of answers that have ended


class Mlx:
    """A `Runtime`. bits: 4 or 8 quantizes the weights, in groups of 64.

    device: gpu or cpu; without it MLX's own choice, which is the GPU on a Mac. The CPU calculates
    in float32, the GPU in what the weights are stored in.
    """

    name = "mlx"
    can = frozenset(
        {"json_schema", "tools", "logprobs", "seed", "penalties", "repeat_penalty", "min_p"}
    )

    def __init__(
        self,
        model: str = "edge-slm",
        bits: int | None = None,
        slots: int = 8,
        context: int = 2048,
        device: str | None = None,
    ):
        import mlx.core
        import mlx.nn

        if device:
            mlx.core.set_default_device(getattr(mlx.core, device))
        on_cpu = mlx.core.default_device() == mlx.core.cpu
        if on_cpu:
            # Each kernel would be compiled at its first use, with the machine's own g++ if it has
            # one: that takes seconds, and the result depends on it.
            mlx.core.disable_compile()
        from mlx_lm import sample_utils
        from mlx_lm.generate import BatchGenerator, StopSequences
        from mlx_lm.models.cache import LRUPromptCache
        from mlx_lm.utils import load_model

        self._mlx, self._filters, self._stops = mlx.core, sample_utils, StopSequences
        self.folder = models.folder(model)
        self.slots, self.context = slots, context
        network, config = load_model(self.folder)
        self._vocabulary = config["vocab_size"]
        if on_cpu:
            network.set_dtype(mlx.core.float32)
        if bits:
            mlx.nn.quantize(network, group_size=64, bits=bits)
        elif on_cpu:
            network.update(_by_columns(network.parameters()))
        mlx.core.eval(network.parameters())
        self._ends = Text(self.folder).ends
        self._grammars = None
        self._jobs: dict[int, Job] = {}
        self._past = LRUPromptCache(max_size=4 * slots, max_bytes=REMEMBERED)
        self._generator = BatchGenerator(
            network,
            completion_batch_size=slots,
            prefill_batch_size=slots,
            prefill_step_size=128 if on_cpu else 1024,  # others wait for a step to end
            stream=mlx.core.default_stream(mlx.core.default_device()),
        )

    def add(self, job: Job) -> None:
        sampling, processors = job.sampling, []
        penalties = sampling.presence_penalty, sampling.frequency_penalty
        if any(penalties) or sampling.repeat_penalty != 1:
            processors.append(self._penalized(sampling, len(job.prompt)))
        if job.constraint:
            job.state = _Held(self._matcher(job), self._vocabulary)
            processors.append(job.state)
        ends = [] if sampling.ignore_eos else [[end] for end in self._ends]
        past, rest = None, job.prompt
        if len(job.prompt) > 1:  # the last token must be read: what follows it is asked for
            past, rest = self._past.fetch_nearest_cache("", job.prompt[:-1])
            rest = [*rest, job.prompt[-1]]
            job.cached = len(job.prompt) - len(rest)
        (number,) = self._generator.insert(
            [rest],
            [job.max_tokens],
            caches=[past],
            all_tokens=[job.prompt[: job.cached]],
            samplers=[self._sampler(sampling)],
            logits_processors=[processors],
            stop_sequences=[self._stops(ends)],
        )
        self._jobs[number] = job

    def step(self) -> list[tuple[Job, list[Token], str | None]]:
        _, responses = self._generator.next()
        news = []
        for response in responses:
            job, finish = self._jobs[response.uid], response.finish_reason
            wanted = job.sampling.logprobs
            if finish == "stop":
                tokens = []
            elif wanted is None:
                tokens = [Token(response.token)]
            else:
                tokens = [_scored(response.token, response.logprobs, wanted)]
            if finish:
                del self._jobs[response.uid]
                self._past.insert_cache("", response.all_tokens, response.prompt_cache)
                if isinstance(job.state, _Held) and job.state.failed:
                    finish = refused(job.state.failed)
            news.append((job, tokens, finish))
        return news

    def remove(self, job: Job) -> None:
        (number,) = (number for number, one in self._jobs.items() if one is job)
        self._generator.remove([number])
        del self._jobs[number]

    def close(self) -> None:
        self._jobs.clear()
        self._generator.close()
        self._generator = self._past = None

    def _sampler(self, sampling: Sampling) -> Callable | None:
        """What chooses a token; None for the most probable, which all such rows share."""
        if sampling.temperature == 0:
            return None
        mlx, filters = self._mlx, []
        if 0 < sampling.top_k < self._vocabulary:
            filters.append(lambda logprobs: self._filters.apply_top_k(logprobs, sampling.top_k))
        if 0 < sampling.top_p < 1:
            filters.append(lambda logprobs: self._filters.apply_top_p(logprobs, sampling.top_p))
        if sampling.min_p > 0:
            filters.append(lambda logprobs: self._filters.apply_min_p(logprobs, sampling.min_p))
        seed = random.getrandbits(63) if sampling.seed is None else sampling.seed
        key = mlx.random.key(seed % 2**64)

        def choose(logprobs):
            nonlocal key
            key, now = mlx.random.split(key)
            for filtered in filters:
                logprobs = filtered(logprobs)
            return mlx.random.categorical(logprobs / sampling.temperature, key=now)

        return choose

    def _penalized(self, sampling: Sampling, read: int) -> Callable:
        """Repeat penalty on all tokens so far, the other two on those after `read`, as OpenAI's."""
        mlx = self._mlx

        def counts(tokens):
            return mlx.zeros(self._vocabulary).at[tokens].add(1)

        def penalized(tokens, logits):
            repeat, written = sampling.repeat_penalty, tokens[read:]
            if repeat != 1:
                lower = mlx.where(logits > 0, logits / repeat, logits * repeat)
                logits = mlx.where(counts(tokens) > 0, lower, logits)
            if len(written):
                seen = counts(written)
                logits = logits - seen * sampling.frequency_penalty
                logits = logits - (seen > 0) * sampling.presence_penalty
            return logits

        return penalized

    def _matcher(self, job: Job):
        from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

        if self._grammars is None:
            words = _Words(self.folder, self._vocabulary, self._ends)
            self._grammars = LLTokenizer(TokenizerWrapper(words), eos_token=sorted(self._ends))
        matcher = LLMatcher(self._grammars, lark(job.constraint))
        if not matcher.is_error():
            matcher.compute_bitmask()  # finds what nothing fits
        if matcher.is_error():
            raise refused(matcher.get_error())
        return matcher


class _Held:
    """Leaves only those tokens that a grammar allows."""

    def __init__(self, matcher, vocabulary: int):
        self._matcher, self._vocabulary = matcher, vocabulary
        self._begun = False
        self.failed = ""

    def __call__(self, tokens, logits):
        import mlx.core as mlx

        if self._begun:
            self._matcher.consume_token(tokens[-1].item())
        self._begun = True
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(bits, bitorder="little", count=self._vocabulary)
        self.failed = self._matcher.get_error()
        return mlx.where(mlx.array(allowed.astype(bool)), logits, -mlx.inf)


def _by_columns(parameters):
    """The weights with their columns in sequence.

    The Linux wheel has the reference BLAS, which multiplies by such matrices twice as fast.
    """
    import mlx.core
    from mlx.utils import tree_map

    return tree_map(lambda w: mlx.core.contiguous(w.T).T if w.ndim == 2 else w, parameters)


def _scored(number: int, logprobs, wanted: int) -> Token:
    values = np.array(logprobs.tolist())
    best = [int(place) for place in np.argsort(-values)[:wanted] if np.isfinite(values[place])]
    return Token(number, float(values[number]), tuple((one, float(values[one])) for one in best))


class _Words:
    """What llguidance asks of a tokenizer, with the markers of calls as text.

    By itself it takes all added tokens for special, and these match no text in a grammar.
    """

    bos_token_id = None

    def __init__(self, folder: Path, vocabulary: int, ends: frozenset[int]):
        from llguidance import LLTokenizer
        from tokenizers import Tokenizer

        path = folder / "tokenizer.json"
        self._tokenizer = Tokenizer.from_file(str(path))
        settings = json.loads(path.read_text(encoding="utf-8"))
        added, settings["added_tokens"] = settings["added_tokens"], []
        settings["model"]["vocab"].update({token["content"]: token["id"] for token in added})
        plain = LLTokenizer(json.dumps(settings), n_vocab=vocabulary)
        self.tokens = [plain.decode_bytes([number]) for number in range(vocabulary)]
        self.special_token_ids = [token["id"] for token in added if token["special"]]
        self.eos_token_id = min(ends)

    def __call__(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids
