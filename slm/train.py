"""Train a model: `python -m slm train --model edge-slm --minutes 60`, again with `--resume`.

Training begins with the heads that find what a call says: they alone learn, four times as fast as
the whole network. Then comes the whole corpus, at first with much copying in it. The loss counts
what the assistant says, short answers more than long ones, and a sample of the rest a little.
Conversations of similar length share a batch, so that little is padded.

A run lives in `slm/runs/NAME/` (git-ignored): `checkpoint.pt`, replaced atomically, `log.csv` with
the loss of each skill, and its plot, `loss.png`. Stop a run whenever you like: `--resume` goes on
from its last checkpoint with the batches that come next, as if it had not been stopped. More
minutes than before raise the learning rate again. `--start NAME` begins with the weights in
`models/NAME` instead, layers before the last left out where these are more.
"""

import csv
import os
import platform
import random
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import count, islice
from multiprocessing import get_context
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib import colormaps
from matplotlib.figure import Figure
from safetensors.torch import load_file

from slm import tokenizer as text
from slm import wiring
from slm.associations import associations
from slm.corpus import SHARES, conversations
from slm.export import MODELS
from slm.guidance import NAME, TOOL, VALUE, guides
from slm.network import Config, Llama

RUNS = Path(__file__).with_name("runs")
CONFIGS = {"edge-slm": Config(num_hidden_layers=5), "edge-slm-nano": Config(num_hidden_layers=4)}
LONGEST = 896  # tokens; longer conversations are left out
TYPICAL = 20  # tokens of the assistant in a turn
CALLED = 2.0  # the weight of a call's token beside an answer's
DECIDED = 3.0  # the weight of a turn's first token: a call, a question or an answer?
SAVED_EVERY = 5  # chunks
# The loss of the guided heads, logged beside the skills; and the layer and the group of each.
LOOKED = {NAME: "look at the name", TOOL: "look at the tool", VALUE: "look at the value"}
GUIDES = {NAME: (wiring.NAMES, 0), TOOL: (wiring.PLACES, 0), VALUE: (wiring.PLACES, 1)}
FINDING = {"drill": 0.8, "one_call": 0.2}  # what the heads learn from that find
LOGGED = (*SHARES, "drill", *LOOKED.values())
GUIDED = 0.3  # the weight of each


@dataclass(frozen=True)
class Recipe:
    minutes: float = 60
    batch_tokens: int = 4096
    chunk: int = 512  # conversations sorted by length together; checkpoints lie between chunks
    associated: int = 25_000  # conversations whose words are associated before all else
    finding_chunks: int = 60  # in which only the heads learn that find: first what calls say,
    answers_chunks: int = 15  # then what any of the assistant's words repeat
    copying_chunks: int = 12  # and then so many in which copying has a large share
    copying: float = 0.4
    drill: float = 0.25  # share of requests after requests, which no use has, but which teach best
    matrix_rate: float = 2.5e-3  # Muon's, for the matrices of attention and feed-forward
    learning_rate: float = 2e-3  # AdamW's, for the embedding and the norms
    warmup: float = 0.01  # share of the time in which the learning rates rise
    decay: float = 0.4  # share of the time, at the end, in which they fall to a hundredth
    other_share: float = 0.15  # of the tokens the assistant does not say: so many count, ...
    other_weight: float = 0.5  # ... and so much
    seed: int = 1

    @property
    def heads_alone(self) -> int:
        """Chunks in which only the heads learn that find."""
        return self.finding_chunks + self.answers_chunks


@dataclass
class Batch:
    ids: torch.Tensor  # (rows, length)
    places: torch.Tensor  # flat indices into ids[:, :-1]: where the next token counts
    weights: torch.Tensor  # how much, one of each place
    said: torch.Tensor  # whether the assistant says that token, one of each place
    guides: torch.Tensor  # (choices, 5): the row, and a guide of `slm.guidance`
    skills: list[str]  # one of each row

    def to(self, device: str) -> "Batch":
        tensors = (self.ids, self.places, self.weights, self.said, self.guides)
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in tensors), self.skills)


def batches_of(index: int, recipe: Recipe) -> list[Batch]:
    """The batches of one chunk; the same for the same index."""
    rng = random.Random(recipe.seed * 1_000_003 + index)
    rows = spoken(rng, index, recipe)
    rows.sort(key=lambda row: len(row[0]))
    groups, group = [], []
    for row in rows:
        if group and (len(group) + 1) * len(row[0]) > recipe.batch_tokens:
            groups.append(group)
            group = []
        group.append(row)
    groups.append(group)
    rng.shuffle(groups)
    return [to_batch(group) for group in groups]


def spoken(rng: random.Random, index: int, recipe: Recipe) -> list[tuple]:
    """A chunk's conversations: token ids, the weight of predicting each, who says it, the skill."""
    finding, idle = index < recipe.finding_chunks, index >= recipe.finding_chunks / 3
    early = recipe.heads_alone <= index < recipe.heads_alone + recipe.copying_chunks
    shares = {name: share / sum(SHARES.values()) for name, share in SHARES.items()}
    shares["drill"] = recipe.drill / (1 - recipe.drill)
    if finding:
        shares = FINDING
    elif early:
        shares["copying"] = sum(shares.values()) * recipe.copying / (1 - recipe.copying)
    tokenizer, rows = text.load(), []
    drawn = conversations(recipe.seed * 1_000_003 + index, "train", shares)
    for conversation in islice(drawn, recipe.chunk):
        rendered = text.render(conversation.messages, conversation.tools)
        encoding = tokenizer.encode(rendered)
        ids, said = encoding.ids, text.spoken(encoding.ids, tokenizer)
        if len(ids) <= LONGEST:
            share, weight = recipe.other_share, recipe.other_weight
            weights = [
                spoken_weight or weight * (rng.random() < share)
                for spoken_weight in weights_of(ids, said)
            ]
            rows.append(
                (ids, weights, said, [*guides(rendered, encoding, rng, idle)], conversation.skill)
            )
    return rows


def weights_of(ids: list[int], said: list[bool]) -> list[float]:
    """What each token counts that the assistant says; 0 for the others.

    A route is five tokens, a chain's last answer forty: by the square root of a turn's length each
    counts less, or what is short would hardly be learnt. A call is right or wrong as a whole while
    an answer may be worded in many ways, so the tokens of calls count more; and most the first
    token of a turn, which decides whether it is a call, a question or an answer.
    """
    tokenizer = text.load()
    opening, closing = (tokenizer.token_to_id(marker) for marker in text.VISIBLE)
    weights, begin = [0.0] * len(ids), None
    for place, one in enumerate([*said, False]):
        if one and begin is None:
            begin = place
        elif not one and begin is not None:
            each, inside = (TYPICAL / max(place - begin, 4)) ** 0.5, False
            for spot in range(begin, place):
                inside = (inside or ids[spot] == opening) and ids[spot] != closing
                weights[spot] = each * (CALLED if inside else 1.0)
            weights[begin] *= DECIDED
            begin = None
    return weights


def to_batch(rows: list[tuple]) -> Batch:
    """Rows padded at their end to one length; padding weighs nothing."""
    length = max(len(ids) for ids, *_ in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    weights, said = torch.zeros(len(rows), length), torch.zeros(len(rows), length)
    guided = []
    for row, (tokens, weighed, spoken_ones, choices, _) in enumerate(rows):
        guided += [(row, *choice) for choice in choices]
        ids[row, : len(tokens)] = torch.tensor(tokens)
        weights[row, : len(tokens)] = torch.tensor(weighed)
        said[row, : len(tokens)] = torch.tensor(spoken_ones).float()
    weights, said = weights[:, 1:].flatten(), said[:, 1:].flatten()
    places = weights.nonzero().squeeze(1)
    guided = torch.tensor(guided, dtype=torch.long).view(-1, 5)
    return Batch(ids, places, weights[places], said[places], guided, [row[-1] for row in rows])


def chunks_from(first: int, recipe: Recipe, workers: int) -> Iterator[list[Batch]]:
    """Chunk after chunk; with workers, made by so many processes while the network learns."""
    if not workers:
        yield from (batches_of(index, recipe) for index in count(first))
        return
    # Spawned, not forked: a fork of a process with threads, as torch has them, may hang.
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        waiting = [pool.submit(batches_of, first + ahead, recipe) for ahead in range(2 * workers)]
        try:
            for index in count(first + len(waiting)):
                yield waiting.pop(0).result()
                waiting.append(pool.submit(batches_of, index, recipe))
        finally:
            pool.shutdown(cancel_futures=True)


def recipe_for(minutes: float, decay: float, start: str | None = None) -> tuple[Recipe, int]:
    """The recipe, and the number of workers, for this machine: large batches where a GPU is."""
    known = {"finding_chunks": 0, "answers_chunks": 0, "copying_chunks": 0} if start else {}
    if torch.cuda.is_available():
        large = Recipe(minutes, batch_tokens=65_536, chunk=8_192, decay=decay, **known)
        return large, max(1, (os.cpu_count() or 2) - 2)
    return Recipe(minutes, decay=decay, **known), 0


def optimizers_of(network: Llama, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices, AdamW for the embedding and the norms."""
    matrices, rest = [], []
    for name, weight in network.named_parameters():
        (matrices if weight.ndim == 2 and "embed" not in name else rest).append(weight)
    return [
        torch.optim.Muon(
            matrices, lr=recipe.matrix_rate, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(
            rest, lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True
        ),
    ]


def pace(progress: float, recipe: Recipe) -> float:
    """Factor of the learning rates: warm-up, a plateau, a linear decay; progress from 0 to 1."""
    if progress < recipe.warmup:
        return max(progress / recipe.warmup, 0.01)
    return min(1, max((1 - progress) / recipe.decay, 0.01))


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
    workers: int = 0,
    start: str | None = None,
) -> Path:
    """Train for `recipe.minutes` in all, or until so many chunks; return the checkpoint's path.

    Raises ValueError for an unknown name, FileNotFoundError where a checkpoint is wanted but none.
    """
    if name not in CONFIGS:
        raise ValueError(f"no model called {name!r}; there is {', '.join(CONFIGS)}")
    folder = RUNS / name
    checkpoint = folder / "checkpoint.pt"
    shipped = MODELS / str(start) / "model.safetensors"
    for wanted, path in ((resume, checkpoint), (start, shipped)):
        if wanted and not path.exists():
            raise FileNotFoundError(f"nothing to go on from: {path} does not exist")
    folder.mkdir(parents=True, exist_ok=True)

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(recipe.seed)
    network = Llama(CONFIGS[name])
    if not start and not resume:
        wiring.wire(network, associations(wiring.rank(CONFIGS[name]), recipe.associated))
    elif not resume:
        network.load_state_dict(shortened(load_file(shipped), CONFIGS[name].num_hidden_layers))
    network.to(device)
    optimizers = optimizers_of(network, recipe)
    state = {"chunk": 0, "step": 0, "seconds": 0.0, "tokens": 0}
    if resume:
        saved = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(saved["network"])
        for optimizer, kept in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        state = saved["state"]
    keep_log(folder / "log.csv", state["chunk"])
    score, look = (
        torch.compile(one, dynamic=True) if compiled else one for one in (scores, glances)
    )
    print(f"{name}: {network.count_parameters():,} parameters, step {state['step']}", flush=True)

    budget = recipe.minutes * 60
    peaks = [recipe.matrix_rate, recipe.learning_rate]
    for batches in chunks_from(state["chunk"], recipe, workers):
        if state["seconds"] >= budget or state["chunk"] == chunks:
            break
        started = time.perf_counter()
        losses: dict[str, list[float]] = {}
        for batch in batches:
            elapsed = state["seconds"] + time.perf_counter() - started
            for optimizer, peak in zip(optimizers, peaks, strict=True):
                optimizer.param_groups[0]["lr"] = peak * pace(elapsed / budget, recipe)
            batch = batch.to(device)
            if state["chunk"] < recipe.heads_alone:
                skills, rows, looked = [], [], glance(look, network, optimizers, batch)
            else:
                skills, (rows, looked) = batch.skills, step(score, network, optimizers, batch)
            for kind, value in zip(LOOKED.values(), looked, strict=True):
                losses.setdefault(kind, []).append(value)
            for skill, value in zip(skills, rows, strict=True):
                losses.setdefault(skill, []).append(value)
            state["step"] += 1
            state["tokens"] += batch.ids.numel()
        state["chunk"] += 1
        state["seconds"] += time.perf_counter() - started
        log(folder / "log.csv", state, losses)
        over = state["seconds"] >= budget or state["chunk"] == chunks
        if state["chunk"] % SAVED_EVERY == 0 or over:
            kept = {
                "network": network.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                "state": state,
                "config": CONFIGS[name].as_dict(),
                "recipe": asdict(recipe) | {"start": start or "", "hardware": hardware(device)},
            }
            save(checkpoint, kept)
            plot(folder / "log.csv", folder / "loss.png")
    return checkpoint


def shortened(weights: dict[str, torch.Tensor], layers: int) -> dict[str, torch.Tensor]:
    """The weights of so many layers: the first ones, and the last."""
    deep = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("model.layers."))
    kept = {str(old): str(new) for new, old in enumerate([*range(layers - 1), deep - 1])}
    chosen = {}
    for name, value in weights.items():
        parts = name.split(".")
        if parts[1] == "layers":
            if parts[2] not in kept:
                continue
            parts[2] = kept[parts[2]]
        chosen[".".join(parts)] = value
    return chosen


def scores(
    network: Llama, ids: torch.Tensor, places: torch.Tensor, guides: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (places, vocab_size) after these places only: most of what is read counts nothing.

    And how surprised the guided heads are by where they should look, one of each guide.
    """
    hidden, looks = network.hidden(ids)
    logits = F.linear(hidden.flatten(0, 1)[places], network.model.embed_tokens.weight).float()
    return logits, surprises(looks, guides)


def glances(network: Llama, ids: torch.Tensor, guides: torch.Tensor) -> torch.Tensor:
    """`surprises` of the guided heads when only the first layer's attention stands before them."""
    x, *positions = network.embed(ids)
    looks = []
    for number, layer in enumerate(network.model.layers[: wiring.PLACES + 1]):
        attention, read = layer.self_attn, layer.input_layernorm(x)
        if number == wiring.NOTES:
            written, look = attention(read, *positions)
            x = x + written
        else:
            look = attention.look(read, *positions)
        looks.append(look)
    return surprises(looks, guides)


def surprises(looks: list[tuple[torch.Tensor, torch.Tensor]], guides: torch.Tensor) -> torch.Tensor:
    """Of each guide: minus the logarithm of the share of the look that falls where it should."""
    row, kind, at, first, end = guides.unbind(1)
    batch, length = looks[0][1].shape[0], looks[0][1].shape[2]
    queries, keys = [], []
    for layer, group in GUIDES.values():
        q, k = looks[layer]
        queries.append(q[:, group * (q.shape[1] // k.shape[1])])
        keys.append(k[:, group])
    # Selected by one index: the gradient of more of them is added up in no fixed order.
    place = kind * batch + row
    asking = torch.cat(queries).flatten(0, 1).index_select(0, place * length + at)
    asked = torch.cat(keys).index_select(0, place)
    seen = torch.einsum("gs,gls->gl", asking, asked).float() * asked.shape[2] ** -0.5
    spots = torch.arange(length, device=at.device)
    seen = seen.masked_fill(spots > at[:, None], -1e4)
    right = (spots >= first[:, None]) & (spots < end[:, None])
    return seen.logsumexp(1) - seen.masked_fill(~right, -1e4).logsumexp(1)


def step(
    score, network: Llama, optimizers: list, batch: Batch, half: bool = True
) -> tuple[list[float], list[float]]:
    """One update. Returns each row's mean loss of what the assistant says, and the guides'."""
    ids, targets = batch.ids[:, :-1], batch.ids[:, 1:].flatten()[batch.places]
    with torch.autocast(ids.device.type, torch.bfloat16, enabled=half):
        logits, surprise = score(network, ids, batch.places, batch.guides)
    losses = F.cross_entropy(logits, targets, reduction="none")
    loss = (losses * batch.weights).sum() / batch.weights.sum()
    looked = by_kind(surprise, batch.guides)
    update(loss + GUIDED * looked.sum(), network, optimizers)
    rows = torch.zeros(2, len(ids), device=ids.device)
    both = torch.stack([losses.detach() * batch.said, batch.said])
    rows.index_add_(1, batch.places // ids.shape[1], both)
    return (rows[0] / rows[1].clamp(min=1)).tolist(), looked.tolist()


def glance(look, network: Llama, optimizers: list, batch: Batch) -> list[float]:
    """One update of the heads that find. Returns the mean loss of each kind of guide."""
    with torch.autocast(batch.ids.device.type, torch.bfloat16):
        looked = by_kind(look(network, batch.ids[:, :-1], batch.guides), batch.guides)
    update(looked.sum(), network, optimizers)
    return looked.tolist()


def by_kind(surprise: torch.Tensor, guides: torch.Tensor) -> torch.Tensor:
    """The mean of each kind of guide."""
    sums = torch.zeros(2, len(LOOKED), device=surprise.device)
    sums = sums.index_add(1, guides[:, 1], torch.stack([surprise, torch.ones_like(surprise)]))
    return sums[0] / sums[1].clamp(min=1)


def update(loss: torch.Tensor, network: Llama, optimizers: list) -> None:
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def hardware(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    names = Path("/proc/cpuinfo")
    lines = names.read_text(encoding="utf-8").splitlines() if names.exists() else []
    model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), "")
    return f"{model or platform.processor()}, {torch.get_num_threads()} threads"


def keep_log(path: Path, chunks: int) -> None:
    """Forget what was logged after the checkpoint that a run goes on from."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    kept = lines[:1] + [line for line in lines[1:] if int(line.split(",")[0]) <= chunks]
    if chunks and kept:
        path.write_text("".join(kept), encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def log(path: Path, state: dict, losses: dict[str, list[float]]) -> None:
    """Append one line a chunk: progress, and the mean loss of the assistant's tokens by skill."""
    row = {key: round(value, 1) for key, value in state.items()}
    for skill in LOGGED:
        values = losses.get(skill, [])
        row[skill] = round(sum(values) / len(values), 4) if values else ""
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
    print(row, flush=True)


def plot(source: Path, path: Path) -> None:
    """The learning curve of each skill, a mean of up to nine chunks a point."""
    with source.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    axes.set_prop_cycle(color=colormaps["tab20"].colors)
    for skill in LOGGED:
        points = [(int(row["tokens"]) / 1e6, float(row[skill])) for row in rows if row[skill]]
        for_mean = [points[max(0, end - 9) : end] for end in range(1, len(points) + 1)]
        means = [sum(loss for _, loss in some) / len(some) for some in for_mean]
        dashed = "--" if skill in LOOKED.values() else "-"
        axes.plot([tokens for tokens, _ in points], means, dashed, label=skill.replace("_", " "))
    axes.set(
        xlabel="million tokens seen", ylabel="loss of the assistant's tokens (nats)", yscale="log"
    )
    axes.set_title("The loss of each skill (dashed: of the heads that find)", loc="left")
    axes.grid(alpha=0.3)
    figure.legend(fontsize="small", loc="outside right upper")
    partial = path.with_name("partial-" + path.name)
    figure.savefig(partial)
    os.replace(partial, path)
