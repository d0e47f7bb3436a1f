"""The examination of models: `python -m slm evaluate`.

Asks a model through its real runtime (GGUF, llama.cpp's server, the OpenAI client) or whatever
answers at an OpenAI-compatible address, prints one table, and writes all of it, every case with its
verdict, to a JSON file.

    python -m slm evaluate                                        # edge-slm at Q8_0, free decoding
    python -m slm evaluate --quant F16 Q8_0 Q4_K_M --constrained  # quantizations, case by case
    python -m slm evaluate --base-url http://127.0.0.1:11434/v1 --model qwen2.5:0.5b --share 0.1
"""

import json
import time
from itertools import islice, product
from pathlib import Path

from tqdm import tqdm

from helpers import backends
from helpers import model as model_files
from slm import tokenizer as text
from slm.corpus import SHARES, conversations
from slm.exam import statistics
from slm.exam.asking import ExamError, Reply, ask_all
from slm.exam.baselines import BASELINES
from slm.exam.cases import SETS, Case, cases
from slm.exam.grading import is_right
from slm.export import put

RESULTS = Path(__file__).with_name("runs") / "exam.json"
CALLS = "calls"


def graded(replies, show: int = 0) -> dict:
    """Everything about one answerer: its verdicts by case, the rates, validity, AUROC.

    The AUROC is of calls made where calls are right, in the drawn sets: each has one right answer.
    """
    verdicts, started = {}, time.perf_counter()
    scores, right_calls, valid, shown = [], [], [], {}
    for case, reply in replies:
        verdict = not reply.error and is_right(
            case.grade, case.messages, reply.said, reply.calls, case.expected
        )
        verdicts[case.id] = {
            "set": case.set,
            "measure": case.measure,
            "task": case.task or case.id,
            "is_call": case.grade["kind"] == CALLS,
            "right": verdict,
            "said": reply.said,
            "calls": reply.calls,
        }
        if reply.error:
            verdicts[case.id]["error"] = reply.error
        if reply.is_valid is not None:
            valid.append(reply.is_valid)
            if reply.logprob is not None and case.grade["kind"] == CALLS and case.set != "natural":
                scores.append(reply.logprob)
                right_calls.append(verdict)
        if not verdict and shown.get((case.set, case.measure), 0) < show:
            shown[case.set, case.measure] = shown.get((case.set, case.measure), 0) + 1
            tqdm.write(wrong(case, reply))
    return {
        "rates": rates(verdicts),
        "valid calls": rate(valid),
        "auroc": statistics.auroc(scores, right_calls),
        "refused": sum("error" in verdict for verdict in verdicts.values()),
        "seconds": round(time.perf_counter() - started, 1),
        "cases": verdicts,
    }


def rate(values: list[bool]) -> dict:
    right, count = sum(values), len(values)
    low, high = statistics.interval(right, count)
    return {"right": right, "count": count, "low": round(low, 4), "high": round(high, 4)}


def rates(verdicts: dict) -> dict[str, dict]:
    """The rate of each "set: measure"; a task of several turns is right when all of them are."""
    tasks: dict[str, dict[str, bool]] = {}
    for verdict in verdicts.values():
        group = tasks.setdefault(f"{verdict['set']}: {verdict['measure']}", {})
        group[verdict["task"]] = group.get(verdict["task"], True) and verdict["right"]
    return {label: rate(list(group.values())) for label, group in tasks.items()}


def wrong(case: Case, reply: Reply) -> str:
    """A wrong case in a few lines."""
    asked = [m["content"] for m in case.messages if m["role"] != "assistant"][-2:]
    got = reply.error or reply.calls or reply.said
    right = case.expected.get("content") or case.grade["accept"] or case.grade["kind"]
    return f"[{case.set}: {case.measure}] {asked}\n    right: {right}\n    said:  {got}"


def held_out_texts(count: int = 200) -> list[str]:
    """Conversations of the exam's split, as the model reads them.

    All skills in equal parts, so that the texts stay when the training's mixture changes.
    """
    drawn = islice(conversations(20_261, "exam", dict.fromkeys(SHARES, 1)), count)
    return [text.render(conversation.messages, conversation.tools) for conversation in drawn]


def evaluate(
    models: tuple[str, ...] = (),
    quants: tuple[str, ...] = ("Q8_0",),
    sets: tuple[str, ...] = SETS,
    share: float = 1.0,
    constrained: bool = False,
    baselines: bool = True,
    base_url: str | None = None,
    show: int = 0,
    output: Path | None = RESULTS,
) -> dict:
    """Examine models and return what is written to `output`.

    models: of the course, `edge-slm` without any; with base_url one, or the first that is served.
    share: of every measure only the first part of that size. constrained: calls once more under the
    grammar of the tools' schemas. base_url: a running OpenAI-compatible endpoint (its key from
    OPENAI_API_KEY) instead of the course's own llama.cpp.

    Raises ValueError for an unknown set or share, `helpers.model.ModelError` for an unknown model,
    `helpers.backends.BackendError` when nothing answers at base_url, `ExamError` when an endpoint
    stops answering.
    """
    todo = cases(sets, share)
    if not base_url:
        models = models or ("edge-slm",)
        for model, quant in product(models, quants):
            model_files.gguf(model, quant)  # a file that cannot be made is better known at once
    columns: dict[str, dict] = {}
    if baselines:
        for name, answer in BASELINES.items():
            columns[name] = graded((case, answer(case)) for case in todo)
    if base_url:
        with backends.attach(base_url, next(iter(models), None)) as backend:
            columns[backend.model] = examined(backend, todo, "constrained", show)
    else:
        for model, quant in product(models, quants):
            with backends.start("llama.cpp", model=model, quant=quant) as backend:
                column = columns[f"{model} {quant}"] = examined(backend, todo, "free", show)
                if constrained:
                    calls = [case for case in todo if case.grade["kind"] == CALLS]
                    held = examined(backend, calls, "constrained", show)
                    columns[f"{model} {quant} constrained"] = held
            column["perplexity"] = perplexity(model, quant)
            if quant != quants[0]:
                column["flips"] = flipped(columns[f"{model} {quants[0]}"], column)
    report = {"sets": list(sets), "share": share, "columns": columns}
    print(table(columns))
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        put(output, json.dumps(report, indent=1).encode())
        print(f"\nEvery case: {output}")
    return report


def examined(backend, todo: list[Case], mode: str, show: int) -> dict:
    """One column: the model's replies to all cases, judged."""
    replies = ask_all(backend.openai(), backend.model, todo, mode)
    label = f"{backend.model} {mode}"
    return graded(tqdm(replies, total=len(todo), desc=label, disable=None), show)


def perplexity(model: str, quant: str) -> dict | None:
    """Perplexity on held-out conversations; None without llama-cpp-python."""
    try:
        value, tokens = statistics.perplexity(model_files.gguf(model, quant), held_out_texts())
    except ImportError:
        return None
    return {"value": round(value, 4), "tokens": tokens}


def flipped(before: dict, after: dict) -> dict:
    """Flips of all cases, and of the calls alone, which the course's bars are about."""

    def verdicts(column: dict, calls: bool) -> dict[str, bool]:
        wanted = column["cases"].items()
        return {name: v["right"] for name, v in wanted if v["is_call"] or not calls}

    return {
        name: statistics.flips(verdicts(before, calls), verdicts(after, calls))
        for name, calls in (("all", False), ("calls", True))
    }


def table(columns: dict[str, dict]) -> str:
    """The rates with their 95 % intervals, a row a measure, a column an answerer."""
    labels = list(dict.fromkeys(label for column in columns.values() for label in column["rates"]))
    rows = [["", *columns]]
    for label in labels:
        cells = [cell(column["rates"].get(label)) for column in columns.values()]
        rows.append([label, *cells])
    rows.append(["calls that fit a schema", *(cell(c["valid calls"]) for c in columns.values())])
    for name, shown in (
        ("AUROC of calls' log-probability, drawn sets", lambda c: number(c.get("auroc"), ".3f")),
        (
            "perplexity on held-out text",
            lambda c: number((c.get("perplexity") or {}).get("value"), ".3f"),
        ),
        ("calls right, then wrong / cases", lambda c: flips_cell(c.get("flips"))),
        ("requests refused", lambda c: str(c["refused"])),
        ("seconds", lambda c: number(c["seconds"], ".0f")),
    ):
        rows.append([name, *(shown(column) for column in columns.values())])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        first, *rest = (
            one.ljust(w) if i == 0 else one.rjust(w)
            for i, (one, w) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *rest]).rstrip())
    return "\n".join(lines)


def cell(one: dict | None) -> str:
    if not one or not one["count"]:
        return "-"
    share = one["right"] / one["count"]
    return f"{share:6.1%} ({one['low']:.1%}-{one['high']:.1%}) of {one['count']}"


def number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def flips_cell(flips: dict | None) -> str:
    return f"{flips['calls']['right to wrong']} / {flips['calls']['cases']}" if flips else "-"


__all__ = ["ExamError", "evaluate", "table"]
