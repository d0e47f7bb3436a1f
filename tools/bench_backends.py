"""All runtimes side by side, through their servers and called directly, in one run.

The same model, the same prompts, answers of TOKENS tokens; seconds until a server answers and until
its first token, tokens/s of one client and of eight, memory, size of the files. Beside them the
library's own Python API at the same concurrency (`tools.direct`), in turn with the server, so that
a machine that slows down slows both. Medians of the rounds.
"""

import json
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from helpers import backends
from helpers import model as models
from tools.direct import question

TOKENS = 128
CLIENTS = (1, 8)
# What `tools.direct` calls a runtime's library; Ollama and vLLM are servers and nothing else here.
DIRECT = {"llama.cpp": "llama_cpp", "onnx": "onnx", "openvino": "openvino", "mlx": "mlx"}
DIRECT["foundry"] = "foundry"
FILES = {
    "onnx": lambda: models.onnx(),
    "foundry": lambda: models.onnx(),
    "openvino": lambda: models.gguf("edge-slm", "F16"),
    "mlx": lambda: models.folder() / "model.safetensors",
    "vllm": lambda: models.folder() / "model.safetensors",
}


def main(names: list[str], rounds: int) -> None:
    ready = [name for name, row in backends.available().items() if not row.missing]
    for name in names or ready:
        report(name, rounds)


def report(name: str, rounds: int) -> None:
    begun = time.perf_counter()
    with backends.start(name) as backend:
        loaded = time.perf_counter() - begun
        client = backend.openai(max_retries=0)
        first = statistics.median(seconds_to_first(client, backend.model, n) for n in range(9))
        served = {clients: [] for clients in CLIENTS}
        direct = {clients: [] for clients in CLIENTS}
        for clients in CLIENTS:
            speed(backend, client, clients)  # warm
            for _ in range(rounds):
                served[clients].append(speed(backend, client, clients))
                if name in DIRECT:
                    direct[clients].append(directly(DIRECT[name], clients))
        memory = backend.memory() / 1e6
    path = FILES.get(name, models.gguf)()
    files = path.rglob("*") if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files) / 1e6
    print(
        f"\n{name}: ready in {loaded:.1f} s, first token after {1000 * first:.0f} ms, "
        f"{memory:.0f} MB of memory, {size:.1f} MB on disk"
    )
    for clients in CLIENTS:
        median = statistics.median(served[clients])
        line = f"  {clients} at once: {median:6.0f} tokens/s"
        if direct[clients]:
            pairs = zip(served[clients], direct[clients], strict=True)
            ratio = statistics.median(mine / theirs for mine, theirs in pairs)
            line += f", directly {statistics.median(direct[clients]):6.0f}, ratio {ratio:.2f}"
        print(line, flush=True)


def messages(number: int) -> list[dict]:
    return [{"role": "user", "content": question(number)}]


def seconds_to_first(client, model: str, number: int) -> float:
    begun = time.perf_counter()
    stream = client.chat.completions.create(
        model=model, messages=messages(100 + number), max_tokens=8, temperature=0, stream=True
    )
    with stream:
        for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                return time.perf_counter() - begun
    raise RuntimeError("an answer without a token")


def speed(backend, client, clients: int) -> float:
    """Tokens/s over `clients` answers at once, four rounds of them."""
    # Foundry Local ends where the model ends; it is compared with itself.
    whole = {} if backend.name == "foundry" else {"ignore_eos": True}

    def one(number: int) -> int:
        reply = client.chat.completions.create(
            model=backend.model,
            messages=messages(number % clients),
            max_tokens=TOKENS,
            temperature=0,
            extra_body=whole,
        )
        return reply.usage.completion_tokens

    with ThreadPoolExecutor(clients) as pool:
        begun = time.perf_counter()
        tokens = sum(pool.map(one, range(4 * clients)))
        return tokens / (time.perf_counter() - begun)


def directly(library: str, clients: int) -> float:
    command = [sys.executable, "-m", "tools.direct", library, str(clients), str(TOKENS)]
    done = subprocess.run(
        command, capture_output=True, check=True, encoding="utf-8", cwd=Path(__file__).parents[1]
    )
    return statistics.median(json.loads(done.stdout.splitlines()[-1])["speeds"])
