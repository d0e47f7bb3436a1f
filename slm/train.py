"""Train a model: `python -m slm train --model edge-slm --minutes 60`, again with `--resume`.

The loss counts what the assistant says in full and the rest a little. Conversations of similar
length share a batch, so that little is padded. A run lives in `slm/runs/NAME/` (git-ignored):
`checkpoint.pt`, replaced atomically, and `log.csv`. Stop a run whenever you like: `--resume` goes
on from its last checkpoint with the conversations that come next.
"""

import csv
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F

from slm import tokenizer as text
from slm.corpus import SHARES, conversations
from slm.network import Config, Llama

RUNS = Path(__file__).with_name("runs")
CONFIGS = {"edge-slm": Config()}
CHUNK = 512  # conversations sorted by length together; a checkpoint lies between two chunks
LONGEST = 768  # tokens; longer conversations are left out


@dataclass(frozen=True)
class Recipe:
    minutes: float = 60
    batch_tokens: int = 2048
    learning_rate: float = 2e-3
    warmup: float = 0.02  # share of the time in which the learning rate rises
    decay: float = 0.4  # share of the time, at the end, in which it falls to a hundredth
    other_weight: float = 0.1  # loss weight of what the assistant does not say
    seed: int = 1


@dataclass
class Batch:
    ids: torch.Tensor  # (batch, length)
    weights: torch.Tensor  # (batch, length): how much predicting this token counts
    skills: list[str]


def chunk_of_batches(index: int, recipe: Recipe, copying: float) -> Iterator[Batch]:
    """The batches of one chunk of conversations; `copying` is that skill's share."""
    tokenizer = text.load()
    shares = SHARES | {"copying": copying * sum(SHARES.values())}
    rows = []
    for conversation in islice(
        conversations(recipe.seed * 1_000_003 + index, "train", shares), CHUNK
    ):
        ids, spoken = text.encode(conversation, tokenizer)
        if len(ids) <= LONGEST:
            rows.append((ids, spoken, conversation.skill))
    rows.sort(key=lambda row: len(row[0]))
    groups, group = [], []
    for row in rows:
        if group and (len(group) + 1) * len(row[0]) > recipe.batch_tokens:
            groups.append(group)
            group = []
        group.append(row)
    groups.append(group)
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(index))
    for position in order.tolist():
        yield to_batch(groups[position], recipe.other_weight)


def to_batch(rows: list, other_weight: float) -> Batch:
    """Rows padded at their end to one length; padding weighs nothing."""
    length = max(len(ids) for ids, _, _ in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    weights = torch.zeros(len(rows), length)
    for row, (tokens, spoken, _) in enumerate(rows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        said = torch.tensor(spoken, dtype=torch.float)
        weights[row, : len(tokens)] = said + (1 - said) * other_weight
    return Batch(ids, weights, [skill for _, _, skill in rows])


def learning_rate(progress: float, recipe: Recipe) -> float:
    """Warm-up, a plateau, a linear decay; progress is the share of the time that has passed."""
    if progress < recipe.warmup:
        return recipe.learning_rate * max(progress / recipe.warmup, 0.01)
    left = max(1 - progress, 0) / recipe.decay
    return recipe.learning_rate * min(1, max(left, 0.01))


def save(path: Path, state: dict) -> None:
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def train(
    name: str,
    recipe: Recipe,
    resume: bool = False,
    compiled: bool = True,
    chunks: int | None = None,
) -> Path:
    """Train for `recipe.minutes` in all, or until so many chunks; return the checkpoint's path."""
    if name not in CONFIGS:
        raise ValueError(f"no model called {name!r}; there is {', '.join(CONFIGS)}")
    folder = RUNS / name
    checkpoint = folder / "checkpoint.pt"
    if resume and not checkpoint.exists():
        raise FileNotFoundError(f"nothing to resume: {checkpoint} does not exist")
    folder.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(recipe.seed)
    network = Llama(CONFIGS[name])
    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=recipe.learning_rate,
        betas=(0.9, 0.95),
        weight_decay=0.05,
        fused=True,
    )
    state = {"chunk": 0, "step": 0, "seconds": 0.0, "tokens": 0}
    if not resume:
        (folder / "log.csv").unlink(missing_ok=True)
    else:
        saved = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        state = saved["state"]
    forward = torch.compile(network, dynamic=True) if compiled else network
    print(f"{name}: {network.count_parameters():,} parameters, step {state['step']}", flush=True)

    def done() -> bool:
        return state["seconds"] >= recipe.minutes * 60 or state["chunk"] == chunks

    while not done():
        started = time.perf_counter()
        progress = state["seconds"] / (recipe.minutes * 60)
        copying = 0.6 if progress < 0.06 else 0.05
        losses: dict[str, list[float]] = {}
        for batch in chunk_of_batches(state["chunk"], recipe, copying):
            elapsed = state["seconds"] + time.perf_counter() - started
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(elapsed / (recipe.minutes * 60), recipe)
            rows = step(forward, network, optimizer, batch)
            for skill, value in zip(batch.skills, rows, strict=True):
                losses.setdefault(skill, []).append(value)
            state["step"] += 1
            state["tokens"] += batch.ids.numel()
        state["chunk"] += 1
        state["seconds"] += time.perf_counter() - started
        log(folder / "log.csv", state, losses)
        if state["chunk"] % 10 == 0 or done():
            saved = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
            save(checkpoint, saved | {"state": state, "config": CONFIGS[name].as_dict()})
    return checkpoint


def step(forward, network: Llama, optimizer, batch: Batch) -> list[float]:
    """One update. Returns, row by row, the mean loss of what the assistant says."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = forward(batch.ids[:, :-1])
    targets, weights = batch.ids[:, 1:], batch.weights[:, 1:]
    losses = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
    losses = losses.view_as(weights)
    loss = (losses * weights).sum() / weights.sum()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    spoken = (weights == 1).float()
    rows = (losses.detach() * spoken).sum(1) / spoken.sum(1).clamp(min=1)
    return rows.tolist()


def log(path: Path, state: dict, losses: dict[str, list[float]]) -> None:
    """Append one line a chunk: progress, and the mean loss of the assistant's tokens by skill."""
    row = {key: round(value, 1) for key, value in state.items()}
    for skill in SHARES:
        values = losses.get(skill, [])
        row[skill] = round(sum(values) / len(values), 4) if values else ""
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)
    print(row, flush=True)
