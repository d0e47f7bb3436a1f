"""Speed and memory of a model's file in the course's server, beside llama.cpp's own benchmark.

Prompt and generation in tokens/s as the server counts them, the time to the first token as a client
sees it, the server's resident memory. With `--llama-bench PATH` llama.cpp's own program takes its
turn in every round with the same file and the same number of threads, so that a machine that slows
down slows both; quoted is the median of the rounds' ratios.
"""

import json
import random
import statistics
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from helpers import backends, model
from helpers.backends.llama_cpp import default_threads

PROMPT, ANSWER = 512, 128  # tokens, llama-bench's own defaults
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"{name.replace('_', ' ').capitalize()}.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
    for name in ("get_weather", "book_hotel", "find_trains", "rent_bicycle", "list_museums")
]


def complete(backend, prompt: list[int], tokens: int) -> dict:
    """The server's timings of one completion without any cache."""
    answer = backend.openai().completions.create(
        model=backend.model,
        prompt=prompt,
        max_tokens=tokens,
        extra_body={"ignore_eos": True, "cache_prompt": False},
    )
    return answer.model_extra["timings"]


def first_token(backend) -> float:
    """Seconds until the first token of an answer to a request with five tools."""
    started = time.perf_counter()
    chunks = backend.openai().chat.completions.create(
        model=backend.model,
        messages=[{"role": "user", "content": f"{random.random()}: is it raining in Bergen?"}],
        tools=TOOLS,
        max_tokens=8,
        stream=True,
        extra_body={"cache_prompt": False},
    )
    next(iter(chunks))
    seconds = time.perf_counter() - started
    for _ in chunks:  # to its end, so that nothing runs into the next measurement
        pass
    return seconds


def measure(backend, vocabulary: int) -> dict[str, float]:
    prompt = [random.randrange(10, vocabulary) for _ in range(PROMPT)]
    return {
        "prompt": complete(backend, prompt, 1)["prompt_per_second"],
        "generation": complete(backend, prompt[:1], ANSWER)["predicted_per_second"],
        "first token": first_token(backend),
    }


def llama_bench(program: str, path: Path, threads: int) -> dict[str, float]:
    sizes = ["-p", PROMPT, "-n", ANSWER, "-t", threads, "-r", 3]
    command = [program, "-m", path, *sizes, "-o", "json"]
    said = subprocess.run(map(str, command), capture_output=True, check=True, text=True).stdout
    kinds = {"prompt": (PROMPT, 0), "generation": (0, ANSWER)}
    rows = {(row["n_prompt"], row["n_gen"]): row["avg_ts"] for row in json.loads(said)}
    return {name: rows[kind] for name, kind in kinds.items()}


def main(name: str, quants: list[str], rounds: int, program: str | None) -> None:
    vocabulary = json.loads((model.folder(name) / "config.json").read_text())["vocab_size"]
    mine, theirs, memory = {}, {}, {}
    with ExitStack() as stack:
        servers = {}
        for quant in quants:
            before = set(psutil.Process().children())
            servers[quant] = stack.enter_context(backends.start("llama.cpp", name, quant=quant))
            (memory[quant],) = set(psutil.Process().children()) - before
            measure(servers[quant], vocabulary)  # warm
        for turn in range(rounds):
            for quant in quants[turn % len(quants) :] + quants[: turn % len(quants)]:
                mine.setdefault(quant, []).append(measure(servers[quant], vocabulary))
                if program:
                    path = model.gguf(name, quant)
                    threads = default_threads(path.stat().st_size)
                    theirs.setdefault(quant, []).append(llama_bench(program, path, threads))
        for quant in quants:
            print(f"\n{name} {quant}, {model.gguf(name, quant).stat().st_size / 1e6:.1f} MB")
            for what in ("prompt", "generation"):
                rates = [row[what] for row in mine[quant]]
                line = f"  {what:12} {statistics.median(rates):8.0f} tokens/s"
                if program:
                    other = [row[what] for row in theirs[quant]]
                    ratio = statistics.median(a / b for a, b in zip(rates, other, strict=True))
                    line += f", llama-bench {statistics.median(other):8.0f}, ratio {ratio:.2f}"
                print(line)
            first = statistics.median(row["first token"] for row in mine[quant])
            print(f"  first token  {first * 1000:8.1f} ms with five tools")
            print(f"  resident     {memory[quant].memory_info().rss / 1e6:8.0f} MB")
