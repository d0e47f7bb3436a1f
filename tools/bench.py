"""Tokens/s of a default `backends.start()` against llama.cpp's server with hand-set options.

The same OpenAI client streams the same requests, one at a time and four at once; the servers take
turns within every round, so that a machine that slows down slows all of them. Quoted is the median
of the rounds' ratios to the best hand-set server.
"""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from helpers import backends

HAND_SET = [(threads, slots) for threads in (1, 2) for slots in (1, 4)]
TOKENS = 128


def stream(client, model: str, number: int) -> int:
    """Stream one answer of exactly TOKENS tokens and count them."""
    chunks = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": f"Tell me about yourself, number {number}."}],
        max_tokens=TOKENS,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"ignore_eos": True, "cache_prompt": False},
    )
    usage = None
    for chunk in chunks:
        usage = chunk.usage or usage
    return usage.completion_tokens


def speed(client, model: str, streams: int) -> float:
    """Tokens/s over `streams` concurrent answers, six times so many in all."""
    with ThreadPoolExecutor(streams) as pool:
        started = time.perf_counter()
        tokens = sum(pool.map(lambda n: stream(client, model, n), range(6 * streams)))
        return tokens / (time.perf_counter() - started)


def main(rounds: int) -> None:
    with ExitStack() as stack:
        servers = {"default": stack.enter_context(backends.start("llama.cpp"))}
        for threads, slots in HAND_SET:
            options = {"threads": threads, "slots": slots}
            server = stack.enter_context(backends.start("llama.cpp", **options))
            servers[f"{threads} threads, {slots} slots"] = server
        clients = {name: server.openai() for name, server in servers.items()}
        for streams in (1, 4):
            speeds = {name: [] for name in servers}
            for name, server in servers.items():
                speed(clients[name], server.model, streams)  # warm
            for turn in range(rounds):
                # Each round begins with another server: none is always measured after the same one.
                order = list(servers.items())
                for name, server in order[turn % len(order) :] + order[: turn % len(order)]:
                    speeds[name].append(speed(clients[name], server.model, streams))
            report(streams, speeds)


def report(streams: int, speeds: dict[str, list[float]]) -> None:
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    best = max((name for name in medians if name != "default"), key=medians.get)
    pairs = zip(speeds["default"], speeds[best], strict=True)
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    print(f"\n{streams} stream{'s' if streams > 1 else ''} at once, tokens/s, median of rounds")
    for name, value in medians.items():
        print(f"  {name:22} {value:8.0f}{'   best hand-set' if name == best else ''}")
    print(f"  default / best hand-set: {ratio:.3f}")
