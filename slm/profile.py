"""Where a training step's time goes: `python -m slm profile`.

Each line adds one thing to the line before, over the same batches; the last is what `train` does.
The limit is what this machine's cores reach in products of the network's own shape; its share is
the arithmetic that the network needs, 6 operations a token for each weight of a matrix and 12 for
each pair of tokens that meet in attention, over the time that it took.
"""

import statistics
import time

import torch
import torch.nn.functional as F

from slm import network as architecture
from slm.network import Llama
from slm.train import CONFIGS, Recipe, batches_of, optimizers_of, scores, step

CHUNK = 100  # one after the curriculum


def limit(width: int, inner: int, tokens: int = 2048) -> float:
    """Operations a second of a product (tokens, width) x (width, inner) in bfloat16."""
    left = torch.randn(tokens, width, dtype=torch.bfloat16)
    right = torch.randn(inner, width, dtype=torch.bfloat16)
    times = [timed(lambda: F.linear(left, right)) for _ in range(100)]
    return 2 * tokens * width * inner / statistics.median(times)


def timed(run) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def torchs_own(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


def everywhere(network, ids, places, guides):
    return network(ids).flatten(0, 1)[places].float(), torch.zeros(len(guides))


def main(name: str = "edge-slm", steps: int = 12) -> None:
    config = CONFIGS[name]
    batches = batches_of(CHUNK, Recipe())[: steps + 2]
    network = Llama(config)
    adam = [torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)]
    muon = optimizers_of(network, Recipe())
    written_out = architecture.attend
    peak = limit(config.hidden_size, config.intermediate_size)
    print(f"{peak / 1e9:.0f} GFLOP/s in a product of the network's shape, bfloat16")

    matrices = sum(
        w.numel() for n, w in network.named_parameters() if w.ndim == 2 and "emb" not in n
    )
    needed = 0.0
    for batch in batches[2:]:
        rows, length = batch.ids[:, :-1].shape
        needed += 6 * rows * length * matrices
        needed += 6 * len(batch.places) * network.model.embed_tokens.weight.numel()
        needed += 12 * rows * length**2 * config.hidden_size * config.num_hidden_layers / 2

    variants = {
        "float32, AdamW, logits of every token": (False, everywhere, torchs_own, adam),
        "bfloat16": (True, everywhere, torchs_own, adam),
        "compiled": (True, torch.compile(everywhere, dynamic=True), torchs_own, adam),
        "logits only where they count": (
            True,
            torch.compile(scores, dynamic=True),
            torchs_own,
            adam,
        ),
        "attention written out": (True, torch.compile(scores, dynamic=True), written_out, adam),
        "Muon for the matrices": (True, torch.compile(scores, dynamic=True), written_out, muon),
    }
    tokens = sum(batch.ids.numel() for batch in batches[2:])
    for title, (half, score, attend, optimizers) in variants.items():
        architecture.attend = attend
        torch.compiler.reset()

        def run(batch, score=score, optimizers=optimizers, half=half):
            step(score, network, optimizers, batch, half)

        for batch in batches[:2]:
            run(batch)
        seconds = sum(timed(lambda batch=batch: run(batch)) for batch in batches[2:])
        share = needed / seconds / peak
        print(f"{title:40} {tokens / seconds:8.0f} tokens/s  {share:5.0%} of the limit", flush=True)
    architecture.attend = written_out
