"""A runtime called by its own Python API, as its manual does, without any server: the yardstick.

`python -m tools.direct onnx 8 128` loads the model and prints a line when it is ready. For each
line on its standard input it writes 8 answers of at most 128 tokens at once and prints the seconds
and the tokens. `tools bench backends` starts it in a process of its own.
"""

import json
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tokenizers import Tokenizer

# vLLM's environment has nothing of the course's: each imports what it uses.
FOLDER = Path(__file__).parents[1] / "models" / "edge-slm"


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

    from helpers import model as models
    from helpers.backends.llama_cpp import default_threads

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


def endless(place: str) -> Path:
    """The ONNX folder of a model that writes until it is cut off: what Foundry Local cannot ask."""
    from helpers import model as models

    folder = Path(place, "edge-slm")
    shutil.copytree(models.onnx("edge-slm", "int4"), folder)
    path = folder / "genai_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["search"]["min_length"] = config["model"]["context_length"]
    path.write_text(json.dumps(config), encoding="utf-8")
    return folder


def foundry(count: int, tokens: int):
    import os

    from helpers.serving.foundry import QUIET, passing_through

    os.environ.update(QUIET)
    import foundry_local_sdk as sdk

    place = tempfile.mkdtemp()
    sdk.FoundryLocalManager.initialize(
        sdk.Configuration(app_name="bench", app_data_dir=place, model_cache_dir=place)
    )
    catalog = sdk.FoundryLocalManager.instance.get_catalog(sdk.CatalogType.LOCAL)
    folder = passing_through(endless(place))
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

    from helpers import model as models
    from helpers.backends.llama_cpp import default_threads

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
    read = [openvino.Tensor(np.array([ids], np.int64)) for ids in encoded(FOLDER, count)]

    def write() -> int:
        written = pipeline.generate(read, [settings] * count)
        return sum(len(result.m_generation_ids[0]) for result in written)

    return write


def mlx(count: int, tokens: int):
    import mlx.core
    from mlx_lm.generate import BatchGenerator
    from mlx_lm.utils import load_model

    mlx.core.disable_compile()  # as in helpers.serving.mlx
    network, _ = load_model(FOLDER)
    network.set_dtype(mlx.core.float32)
    mlx.core.eval(network.parameters())
    read = encoded(FOLDER, count)

    def write() -> int:
        generator, written = BatchGenerator(network, max_tokens=tokens), 0
        generator.insert(read)
        while responses := generator.next_generated():
            written += len(responses)
        return written

    return write


def llama_cpp(count: int, tokens: int):
    """The server's own library, asked by function calls."""
    import xllamacpp as lib

    from helpers import model as models
    from helpers.backends.llama_cpp import default_threads

    path = models.gguf("edge-slm", "Q8_0")
    settings = lib.CommonParams()
    settings.model.path = str(path)
    settings.n_parallel, settings.n_ctx = 4, 4 * 2048
    settings.cpuparams.n_threads = default_threads(path.stat().st_size)
    settings.verbosity = 0
    server = lib.Server(settings)
    asked = {"max_tokens": tokens, "temperature": 0, "ignore_eos": True}
    read = [{**asked, "prompt": ids} for ids in encoded(FOLDER, count)]

    def one(request: dict) -> int:
        return server.handle_completions(request)["usage"]["completion_tokens"]

    pool = ThreadPoolExecutor(count)
    return lambda: sum(pool.map(one, read))


def vllm(count: int, tokens: int):
    """In vLLM's own environment and with the server's settings."""
    from vllm import LLM, SamplingParams, TokensPrompt

    llm = LLM(
        str(FOLDER),
        dtype="float32",
        max_model_len=2048,
        max_num_seqs=8,
        kv_cache_memory_bytes=256 * 2**20,
        enforce_eager=True,
        distributed_executor_backend="uni",
    )
    settings = SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True)
    read = [TokensPrompt(prompt_token_ids=ids) for ids in encoded(FOLDER, count)]

    def write() -> int:
        written = llm.generate(read, settings, use_tqdm=False)
        return sum(len(answer.outputs[0].token_ids) for answer in written)

    return write


# Ollama is llama.cpp, and has no library of its own.
LIBRARIES = {
    "llama.cpp": llama_cpp,
    "ollama": llama_cpp,
    "foundry": foundry,
    "vllm": vllm,
    "onnx": onnx,
    "mlx": mlx,
    "openvino": openvino,
}


def encoded(folder: Path, count: int) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return [tokenizer.encode(prompt).ids for prompt in prompts(count)]


def main(name: str, count: int, tokens: int) -> None:
    write = LIBRARIES[name](count, tokens)
    write()  # warm
    print("ready", flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        written = write()
        print(time.perf_counter() - begun, written, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
