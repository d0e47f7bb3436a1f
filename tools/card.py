"""The exam's results as a table in a model's card, from the JSON of `python -m slm evaluate`.

The table stands between two comments in `models/NAME/README.md`; everything else on the card is
written by hand. A model examined in several runs gives several files.
"""

import json
import sys
from pathlib import Path

from helpers.model import MODELS
from slm.evaluate import RESULTS
from slm.export import put

BEGIN, END = "<!-- exam: begin -->", "<!-- exam: end -->"


def read(files: list[Path]) -> dict[str, dict]:
    """The columns of all reports; of two with the same name what the one with more cases says."""
    columns: dict[str, dict] = {}
    for file in files:
        for name, column in json.loads(file.read_text(encoding="utf-8"))["columns"].items():
            pair = sorted((columns.get(name, column), column), key=lambda one: len(one["cases"]))
            columns[name] = pair[0] | pair[1]
    return columns


def table(columns: dict[str, dict], model: str) -> str:
    """Markdown: a row a measure, a column for BM25 and for each way the model was asked at Q8_0.

    Below it what is no rate: AUROC, perplexity, and the calls that quantization turns wrong.
    """
    shown = {"BM25": columns["BM25"]} if "BM25" in columns else {}
    shown |= {
        name: columns[name]
        for name in (f"{model} Q8_0", f"{model} Q8_0 constrained")
        if name in columns
    }
    heads = [name.removeprefix(f"{model} ") for name in shown]
    rows = [["measure", "cases", *heads], ["---"] * (2 + len(heads))]
    rates = [
        column["rates"] | {"calls that fit their schema": column["valid calls"]}
        for column in shown.values()
    ]
    for label in dict.fromkeys(label for one in rates for label in one):
        found = [one.get(label) for one in rates]
        count = max(rate["count"] for rate in found if rate)
        rows.append([label, f"{count:,}", *map(cell, found)])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *facts(columns, model)])


def cell(rate: dict | None) -> str:
    if not rate or not rate["count"]:
        return "-"
    share = rate["right"] / rate["count"]
    return f"{share:.1%} ({100 * rate['low']:.1f}-{100 * rate['high']:.1f})"


def facts(columns: dict[str, dict], model: str) -> list[str]:
    """A line for each way the model was asked."""
    lines = []
    for name, column in columns.items():
        if name.partition(" ")[0] != model:
            continue
        said = []
        if column.get("auroc"):
            said.append(f"AUROC {column['auroc']:.3f}")
        if column.get("perplexity"):
            said.append(f"perplexity {column['perplexity']['value']:.3f}")
        if column.get("flips"):
            calls = column["flips"]["calls"]
            said.append(
                f"of {calls['cases']:,} calls {calls['right to wrong']} went from right to wrong "
                f"against the run's first quantization, {calls['wrong to right']} the other way"
            )
        lines.append(f"- {name.removeprefix(model).strip()}: {', '.join(said)}")
    return lines


def fill(card: Path, text: str) -> None:
    """Put the text between the two comments; everything around it stays."""
    before, begin, rest = card.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{card} has no place for the table: write {BEGIN} and {END} into it")
    put(card, f"{before}{begin}\n{text}\n{end}{after}".encode())


def main(files: list[str]) -> None:
    columns = read([Path(file) for file in files] or [RESULTS])
    for model in sorted({name.partition(" ")[0] for name in columns}):
        if (card := MODELS / model / "README.md").is_file():
            fill(card, table(columns, model))
            print(card)
