"""A runtime called by its own Python API, as its manual does, without any server: the yardstick.

`python -m tools.direct onnx 8 128` writes 8 answers of at most 128 tokens at once, some rounds
long, and prints JSON: the rounds' tokens/s, and the seconds of loading. `tools bench backends`
starts it in a process of its own.
"""

import json
import sys
import time
from pathlib import Path

from tokenizers import Tokenizer

from helpers import model as models
from helpers.backends.llama_cpp import default_threads

ROUNDS = 5


def prompts(count: int) -> list[str]:
    """As the model reads them; the same that `tools bench` sends as conversations."""
    return [
        f"<|im_start|>user\n{question(number)}<|im_end|>\n<|im_start|>assistant\n"
        for number in range(count)
    ]


def question(number: int) -> str:
    return f"Tell me about yourself, number {number}."


def onnx(count: int, tokens: int):
    import numpy as np
    import onnxruntime_genai as lib

    folder = models.onnx("edge-slm", "int4")
    config = lib.Config(str(folder))
    size = sum(file.stat().st_size for file in folder.glob("*.onnx*"))
    threads = {"intra_op_num_threads": default_threads(size)}
    config.overlay(json.dumps({"model": {"decoder": {"session_options": threads}}}))
    model = lib.Model(config)
    read = [np.array(ids, np.int32) for ids in encoded(folder, count)]

    def generator(ids):
        parameters, length = lib.GeneratorParams(model), len(ids) + tokens
        parameters.set_search_options(max_length=length, min_length=length, do_sample=False)
        made = lib.Generator(model, parameters)
        made.append_tokens(ids)
        return made

    def write() -> int:
        running, written = [generator(ids) for ids in read], 0
        while running:
            for one in running:
                one.generate_next_token()
                one.get_next_tokens()
                written += 1
            running = [one for one in running if not one.is_done()]
        return written

    return write


def foundry(count: int, tokens: int):
    import os
    import tempfile
    from concurrent.futures import ThreadPoolExecutor

    from helpers.serving.foundry import QUIET, passing_through

    os.environ.update(QUIET)
    import foundry_local_sdk as sdk

    place = tempfile.mkdtemp()
    sdk.FoundryLocalManager.initialize(
        sdk.Configuration(app_name="bench", app_data_dir=place, model_cache_dir=place)
    )
    catalog = sdk.FoundryLocalManager.instance.get_catalog(sdk.CatalogType.LOCAL)
    folder = passing_through(models.onnx("edge-slm", "int4"))
    with sdk.ModelInfoBuilder() as information:
        information.set_string_property("task", "chat-completion")
        model = catalog.register_model(
            model_path=str(folder), model_id="bench:1", metadata=information
        )
    model.load()
    search = sdk.SearchOptions(temperature=0.0, max_output_tokens=tokens)

    def one(prompt: str) -> int:
        with sdk.ChatSession(model) as session, sdk.Request() as request:
            session.set_options(sdk.RequestOptions(search=search))
            request.add_item(sdk.MessageItem.user(prompt))
            with session.process_request(request) as response:
                return response.get_usage().completion_tokens

    pool = ThreadPoolExecutor(count)
    return lambda: sum(pool.map(one, prompts(count)))


def openvino(count: int, tokens: int):
    import numpy as np
    import openvino
    import openvino_genai as lib

    path = models.gguf("edge-slm", "F16")
    scheduler = lib.SchedulerConfig()
    scheduler.num_kv_blocks, scheduler.max_num_seqs = 8 * 2048 // 32, 8
    pipeline = lib.ContinuousBatchingPipeline(
        str(path),
        lib.Tokenizer(str(path)),
        scheduler,
        "CPU",
        INFERENCE_PRECISION_HINT="f32",
        KV_CACHE_PRECISION="f32",
        INFERENCE_NUM_THREADS=default_threads(path.stat().st_size),
    )
    settings = lib.GenerationConfig()
    settings.max_new_tokens, settings.ignore_eos = tokens, True
    read = [openvino.Tensor(np.array([ids], np.int64)) for ids in encoded(models.folder(), count)]

    def write() -> int:
        written = pipeline.generate(read, [settings] * count)
        return sum(len(result.m_generation_ids[0]) for result in written)

    return write


def mlx(count: int, tokens: int):
    import mlx.core
    from mlx_lm.generate import BatchGenerator
    from mlx_lm.utils import load_model

    mlx.core.disable_compile()  # as in helpers.serving.mlx
    network, _ = load_model(models.folder())
    network.set_dtype(mlx.core.float32)
    mlx.core.eval(network.parameters())
    read = encoded(models.folder(), count)

    def write() -> int:
        generator, written = BatchGenerator(network, max_tokens=tokens), 0
        generator.insert(read)
        while responses := generator.next_generated():
            written += len(responses)
        return written

    return write


def llama_cpp(count: int, tokens: int):
    """llama-cpp-python, one answer after the other: it has no batches."""
    from llama_cpp import Llama

    path = models.gguf("edge-slm", "Q8_0")
    threads = default_threads(path.stat().st_size)
    llm = Llama(str(path), n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False)
    read = encoded(models.folder(), count)

    def write() -> int:
        written = 0
        for ids in read:
            for _, _token in zip(range(tokens), llm.generate(ids, temp=0.0), strict=False):
                written += 1
        return written

    return write


def encoded(folder: Path, count: int) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return [tokenizer.encode(prompt).ids for prompt in prompts(count)]


def main(name: str, count: int, tokens: int) -> None:
    begun = time.perf_counter()
    write = globals()[name](count, tokens)
    loaded = time.perf_counter() - begun
    write()  # warm
    speeds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        written = write()
        speeds.append(written / (time.perf_counter() - begun))
    print(json.dumps({"load": loaded, "speeds": speeds, "tokens": written}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
