"""All runtimes side by side, through their servers and called directly, in one run.

The same model, the same prompts, answers of TOKENS tokens; seconds until a server answers and until
its first token, tokens/s of one client and of eight, memory, size of the files. Beside them the
library's own Python API at the same concurrency (`tools.direct`), in turn with the server, so that
a machine that slows down slows both. Medians of the rounds.
"""

import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from helpers import backends
from helpers import model as models
from helpers.backends import vllm
from tools.direct import endless, question

TOKENS = 256
CLIENTS = (1, 8)
EACH = 2  # answers for each client in a round
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
    with contextlib.ExitStack() as stack:
        options = {}
        if name == "foundry":
            place = stack.enter_context(tempfile.TemporaryDirectory())
            options = {"model": str(endless(place))}
        begun = time.perf_counter()
        backend = stack.enter_context(backends.start(name, **options))
        loaded = time.perf_counter() - begun
        client = backend.openai(max_retries=0)
        first = statistics.median(seconds_to_first(client, backend.model, n) for n in range(9))
        measured = {clients: compared(backend, clients, rounds) for clients in CLIENTS}
        memory = backend.memory() / 1e6
    path = FILES.get(name, models.gguf)()
    files = path.rglob("*") if path.is_dir() else [path]
    size = sum(file.stat().st_size for file in files) / 1e6
    print(
        f"\n{name}: ready in {loaded:.1f} s, first token after {1000 * first:.0f} ms, "
        f"{memory:.0f} MB of memory, {size:.1f} MB on disk"
    )
    for clients, (served, direct, ratio) in measured.items():
        line = f"  {clients} at once: {served:6.0f} tokens/s, directly {direct:6.0f}"
        print(f"{line}, ratio {ratio:.2f}", flush=True)


def seconds_to_first(client, model: str, number: int) -> float:
    messages = [{"role": "user", "content": question(100 + number)}]
    begun = time.perf_counter()
    stream = client.chat.completions.create(
        model=model, messages=messages, max_tokens=8, temperature=0, stream=True
    )
    with stream:
        for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                return time.perf_counter() - begun
    raise RuntimeError("an answer without a token")


def compared(backend, clients: int, rounds: int) -> tuple[float, float, float]:
    """Tokens/s through the server, directly, and the ratio: medians."""
    with Direct(backend.name, clients) as library, Clients(backend, clients) as served:
        served.speed()  # warm
        pairs = [(served.speed(), library.speed()) for _ in range(rounds)]
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    return *(statistics.median(column) for column in zip(*pairs, strict=True)), ratio


class Clients:
    """Connections to a server, kept open for a round, each with a thread.

    Of the standard library's HTTP, which asks little of the cores that the server computes on.
    """

    def __init__(self, backend, count: int):
        place = urlsplit(backend.base_url)
        self._connections = [
            http.client.HTTPConnection(place.hostname, place.port) for _ in range(count)
        ]
        self._path, self._pool = place.path + "/chat/completions", ThreadPoolExecutor(count)
        self._request = {"model": backend.model, "max_tokens": TOKENS, "temperature": 0}
        if backend.name != "foundry":  # see `endless`
            self._request["ignore_eos"] = True

    def __enter__(self) -> "Clients":
        return self

    def __exit__(self, *_) -> None:
        self._pool.shutdown()
        for connection in self._connections:
            connection.close()

    def speed(self) -> float:
        for connection in self._connections:  # some servers close one after seconds
            connection.close()
            connection.connect()
        begun = time.perf_counter()
        tokens = sum(self._pool.map(self._ask, range(len(self._connections))))
        return tokens / (time.perf_counter() - begun)

    def _ask(self, number: int) -> int:
        messages = [{"role": "user", "content": question(number)}]
        body = json.dumps({**self._request, "messages": messages})
        connection, tokens = self._connections[number], 0
        for _ in range(EACH):
            connection.request("POST", self._path, body, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
            tokens += answer["usage"]["completion_tokens"]
        return tokens


class Direct:
    """The library in a process of its own; see `tools.direct`."""

    def __init__(self, name: str, count: int):
        python, variables = sys.executable, None
        if name == "vllm":
            python = vllm.environment() / "bin" / "python"
            variables = vllm.variables(threads=1)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - nameless, closed with the process
        self._process = subprocess.Popen(
            [python, "-m", "tools.direct", name, str(count), str(TOKENS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            encoding="utf-8",
            cwd=Path(__file__).parents[1],
            env=variables,
        )
        while self._line() != "ready\n":
            pass

    def __enter__(self) -> "Direct":
        return self

    def __exit__(self, *_) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._log.close()

    def speed(self) -> float:
        seconds = tokens = 0.0
        for _ in range(EACH):
            self._process.stdin.write("\n")
            self._process.stdin.flush()
            one, written = map(float, self._line().split())
            seconds, tokens = seconds + one, tokens + written
        return tokens / seconds

    def _line(self) -> str:
        if line := self._process.stdout.readline():
            return line
        self._process.wait()
        self._log.seek(0)
        raise SystemExit(self._log.read().decode("utf-8", errors="replace"))
