"""Labs from solutions: the one source of a lab is its solution notebook.

What stands between `### BEGIN SOLUTION` and `### END SOLUTION` gives way to
`raise NotImplementedError("your turn")`, and outputs are dropped.
"""

from pathlib import Path

import nbformat
from nbconvert.exporters import NotebookExporter
from traitlets.config import Config

ROOT = Path(__file__).parents[1]


def build(solution: Path) -> str:
    """The text of the lab made from a solution notebook."""
    config = Config()
    config.NotebookExporter.preprocessors = [
        "nbgrader.preprocessors.ClearSolutions",
        "nbconvert.preprocessors.ClearOutputPreprocessor",
    ]
    config.ClearSolutions.enforce_metadata = False  # plain markers, no nbgrader metadata
    config.ClearSolutions.code_stub = {"python": 'raise NotImplementedError("your turn")'}
    notebook = nbformat.read(solution, as_version=4)
    if not any("### BEGIN SOLUTION" in cell.source for cell in notebook.cells):
        raise SystemExit(f"{solution}: no cell has a '### BEGIN SOLUTION'")
    text, _ = NotebookExporter(config=config).from_notebook_node(notebook)
    return text.rstrip("\n") + "\n"


def stale() -> list[str]:
    """What differs between labs/ and what solutions/ would make of it, in words."""
    wanted = {path.name: path for path in (ROOT / "solutions").glob("*.ipynb")}
    there = {path.name: path for path in (ROOT / "labs").glob("*.ipynb")}
    wrong = [f"labs/{name} has no solution" for name in sorted(there.keys() - wanted)]
    for name, solution in sorted(wanted.items()):
        if name not in there or there[name].read_text(encoding="utf-8") != build(solution):
            wrong.append(f"labs/{name} is out of date")
    return wrong


def main(check: bool) -> None:
    if check:
        if wrong := stale():
            raise SystemExit("; ".join(wrong) + ": run python -m tools labs")
        print("labs are up to date")
        return
    (ROOT / "labs").mkdir(exist_ok=True)
    for solution in sorted((ROOT / "solutions").glob("*.ipynb")):
        lab = ROOT / "labs" / solution.name
        lab.write_text(build(solution), encoding="utf-8", newline="\n")
        print(lab.relative_to(ROOT))
