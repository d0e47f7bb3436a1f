"""OpenVINO GenAI as a runtime: its continuous batching, with the model read from a GGUF file."""

import json
import random
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

from helpers import model as models
from helpers.backends.llama_cpp import default_threads
from helpers.serving.batched import Constraint, Job, Token
from helpers.serving.engine import Sampling, ServingError
from helpers.serving.grammar import NO_ARGUMENTS, ebnf, refused
from helpers.serving.text import BEGIN, END, Text


class OpenVino:
    """A `Runtime`. quant: F16, Q8_0, Q6_K, Q4_K_M, Q4_1 or Q4_0; see `helpers.model.gguf`.

    precision: of the arithmetic, f32, f16 or bf16; with f32 and F16 the answers are those of full
    precision. device: one of `devices()` that batches, a CPU or a GPU. Raises ServingError.
    """

    name = "openvino"
    # No log-probabilities: the pipeline says that of the chosen token, and not the alternatives.
    can = frozenset({"json_schema", "tools", "seed", "penalties", "repeat_penalty", "min_p"})

    def __init__(
        self,
        model: str = "edge-slm",
        quant: str = "F16",
        precision: str = "f32",
        slots: int = 8,
        context: int = 2048,
        threads: int | None = None,
        device: str = "CPU",
    ):
        self._openvino = _library()
        import openvino_genai

        self._lib = openvino_genai
        self.folder, path = models.folder(model), models.gguf(model, quant)
        self.slots, self.context = slots, context
        self._ends = set(Text(self.folder).ends)
        self._jobs: dict[Job, object] = {}
        self._added = 0
        self._running = openvino_genai.GenerationStatus.RUNNING
        self._judge = None
        properties = {"INFERENCE_PRECISION_HINT": precision, "sampler_num_threads": 1}
        block = 16
        if device.startswith("CPU"):
            block = 32
            properties["INFERENCE_NUM_THREADS"] = threads or default_threads(path.stat().st_size)
            if precision == "f32":
                properties["KV_CACHE_PRECISION"] = "f32"  # else it is of 8 bits
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.num_kv_blocks = (slots + 1) * -(-context // block)  # one that is being removed
        scheduler.max_num_seqs = slots
        scheduler.enable_prefix_caching = True
        try:
            self._tokenizer = openvino_genai.Tokenizer(str(path))
            self._pipeline = openvino_genai.ContinuousBatchingPipeline(
                str(path), self._tokenizer, scheduler, device, **properties
            )
        except RuntimeError as error:
            raise ServingError(
                f"openvino cannot load {quant} on {device} in {precision}: {_reason(error)}"
            ) from error

    def add(self, job: Job) -> None:
        held = self._held_to(job.constraint) if job.constraint else None
        try:
            settings = self._settings(job.sampling)
            settings.max_new_tokens = job.max_tokens
            settings.structured_output_config = held
            settings.validate()
            prompt = self._openvino.Tensor(np.array([job.prompt], np.int64))
            self._added += 1
            self._jobs[job] = self._pipeline.add_request(self._added, prompt, settings)
        except RuntimeError as error:
            raise ServingError(f"openvino refuses this: {_reason(error)}") from error

    def step(self) -> list[tuple[Job, list[Token], str | None]]:
        self._pipeline.step()
        news = []
        for job, handle in list(self._jobs.items()):
            status = handle.get_status()
            if status == self._running:
                # Each look costs as much as a tenth of a token: only if somebody waits for it, and
                # once, for the time of the first.
                if (job.watched or not job.state) and handle.can_read():
                    job.state = True
                    (output,) = handle.read().values()
                    news.append((job, [Token(token) for token in output.generated_ids], None))
                continue
            if status == self._lib.GenerationStatus.IGNORED:
                raise RuntimeError("no room is left for keys and values")
            del self._jobs[job]
            (output,) = handle.read_all()  # would wait for an answer that is not at its end
            tokens, finish = output.generated_ids, "length"
            if output.finish_reason == self._lib.GenerationFinishReason.STOP:
                tokens, finish = tokens[:-1], "stop"
            news.append((job, [Token(token) for token in tokens], finish))
        return news

    def remove(self, job: Job) -> None:
        self._jobs.pop(job).cancel()  # the next step frees its place

    def close(self) -> None:
        self._jobs.clear()
        self._pipeline = self._judge = self._tokenizer = None

    def _settings(self, sampling: Sampling):
        settings = self._lib.GenerationConfig()
        settings.stop_token_ids = self._ends
        settings.ignore_eos = sampling.ignore_eos
        settings.repetition_penalty = sampling.repeat_penalty
        settings.presence_penalty = sampling.presence_penalty
        settings.frequency_penalty = sampling.frequency_penalty
        settings.do_sample = sampling.temperature > 0
        if settings.do_sample:
            settings.temperature = sampling.temperature
            settings.top_p, settings.min_p = sampling.top_p, sampling.min_p
            if sampling.top_k > 0:
                settings.top_k = sampling.top_k
            seed = random.getrandbits(32) if sampling.seed is None else sampling.seed
            settings.rng_seed = seed % 2**32
        return settings

    def _held_to(self, constraint: Constraint):
        """What xgrammar makes of it, tried out. Raises ServingError."""
        library = self._lib.StructuredOutputConfig
        if constraint.schema is not None:
            config = library(grammar=ebnf(constraint.schema))
        else:
            tags = [
                library.Tag(
                    f'{BEGIN}{{"name":{json.dumps(tool["name"])},"arguments":',
                    library.EBNF(ebnf(tool.get("parameters") or NO_ARGUMENTS, lenient=True)),
                    f"}}{END}",
                )
                for tool in constraint.tools
            ]
            once = not constraint.parallel
            if constraint.required:
                calls = library.TagsWithSeparator(tags, "", True, once)
            else:
                calls = library.TriggeredTags([BEGIN], tags, False, once)
            config = library(structural_tags_config=calls)
        self._try_out(config)
        return config

    def _try_out(self, config) -> None:
        """Have xgrammar read a grammar where its exception harms nobody.

        In a batch it comes in the midst of a step, and the other answers are lost. The model here
        weighs nothing; the tokenizer is the batch's, and what was read is kept there.
        """
        if self._judge is None:
            self._judge = self._weightless()
        settings = self._lib.GenerationConfig()
        settings.stop_token_ids = self._ends
        settings.max_new_tokens = 1
        settings.structured_output_config = config
        prompt = self._openvino.Tensor(np.array([[1]], np.int64))
        try:
            token = self._judge.generate(prompt, settings).tokens[0][0]
        except RuntimeError as error:
            raise refused(_reason(error)) from error
        if token == 0:  # the least probable of all
            raise refused("nothing fits it")

    def _weightless(self):
        """A pipeline whose model finds all tokens but the first equally probable."""
        from openvino import opset13 as op

        openvino = self._openvino
        inputs = []
        for name, shape, kind in (
            ("input_ids", [-1, -1], np.int64),
            ("attention_mask", [-1, -1], np.int64),
            ("beam_idx", [-1], np.int32),
        ):
            inputs.append(op.parameter(shape, kind, name=name))
            inputs[-1].output(0).tensor.set_names({name})
        config = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        scores = np.zeros(config["vocab_size"], np.float32)
        scores[0] = -1
        size = op.concat([op.shape_of(inputs[0]), np.array([len(scores)], np.int64)], 0)
        logits = op.broadcast(op.constant(scores), size)
        logits.output(0).tensor.set_names({"logits"})
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
            path = Path(place, "model.xml")
            openvino.save_model(openvino.Model([op.result(logits)], inputs), path)
            text = path.read_text(encoding="utf-8")
            weights = np.fromfile(path.with_suffix(".bin"), np.uint8)
        tensor = openvino.Tensor(weights)
        # its other way with attention wants a model that has some
        return self._lib.LLMPipeline(text, tensor, self._tokenizer, "CPU", ATTENTION_BACKEND="SDPA")


def devices() -> list[str]:
    """OpenVINO's names of the processors here that it can use, such as ["CPU", "GPU"]."""
    return _library().Core().available_devices


def _library():
    """OpenVINO, mute: each import would tell Google Analytics, unasked (as of 2026.4.1)."""
    sys.modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino


def _reason(error: Exception) -> str:
    """The last line of what went wrong, without the place in the library's own source."""
    return re.sub(r"^(\[[\d:]+\] )?(\S+:\d+: )?", "", str(error).strip().splitlines()[-1])
