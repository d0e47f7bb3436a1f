"""Lessons, labs and solutions, whatever their number: a new notebook is tested by existing."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import NEEDS, ROOT, needs_of, skip_without
from tools import labs

LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "solutions").glob("*.ipynb"))
LABS = sorted((ROOT / "labs").glob("*.ipynb"))
NOTEBOOKS = [*LESSONS, *SOLUTIONS]
CARD = re.compile(r"\*\*Time\*\* \d+ min, runs in \d+ s · \*\*Peak RAM\*\* \d+ MB · \*\*Needs\*\* ")


def read(path: Path):
    return nbformat.read(path, as_version=4)


def stem(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def sources(path: Path, kind: str) -> list[str]:
    return [cell.source for cell in read(path).cells if cell.cell_type == kind]


def test_no_lab_is_out_of_date():
    assert labs.stale() == []


def test_a_changed_lab_is_noticed(tmp_path, monkeypatch):
    for name in ("solutions", "labs"):
        (tmp_path / name).mkdir()
    source = SOLUTIONS[0]
    (tmp_path / "solutions" / source.name).write_bytes(source.read_bytes())
    monkeypatch.setattr(labs, "ROOT", tmp_path)
    assert labs.stale() == [f"labs/{source.name} is out of date"]
    labs.main(check=False)
    assert labs.stale() == []
    with (tmp_path / "labs" / source.name).open("a", encoding="utf-8") as file:
        file.write("\n")
    (tmp_path / "labs" / "99_extra.ipynb").write_bytes(source.read_bytes())
    assert labs.stale() == [
        "labs/99_extra.ipynb has no solution",
        f"labs/{source.name} is out of date",
    ]


@pytest.mark.parametrize("path", LABS, ids=stem)
def test_a_blank_lab_stops_at_its_blanks_and_nowhere_else(path):
    skip_without(needs_of(path))
    notebook = read(path)
    folder = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, allow_errors=True, timeout=120, resources=folder).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    errors = [output.ename for output in outputs if output.output_type == "error"]
    assert errors
    assert set(errors) == {"NotImplementedError"}


@pytest.mark.parametrize("path", SOLUTIONS, ids=stem)
def test_a_solution_is_the_body_of_a_function_and_has_a_check(path):
    cells = sources(path, "code")
    marked = [cell for cell in cells if "### BEGIN SOLUTION" in cell]
    assert 3 <= len(marked) <= 5
    for cell in marked:
        assert cell.count("### BEGIN SOLUTION") == cell.count("### END SOLUTION") == 1
        before = cell.split("### BEGIN SOLUTION")[0]
        blank = before + "raise NotImplementedError"
        last = ast.parse(blank).body[-1]
        assert isinstance(last, ast.FunctionDef | ast.ClassDef), "the blank is a function's body"
    checked = [cell for cell in cells if re.match(r"checks\.lab\d\d\.check_\w+\(", cell)]
    assert len(checked) == len(marked)
    text = "\n".join(sources(path, "markdown"))
    assert text.count("**Difficulty**") == text.count("<summary>Hint</summary>") == len(marked)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=stem)
def test_a_notebook_has_title_card_and_honest_outputs(path):
    cells = read(path).cells
    assert cells[0].source.startswith("# ")
    text = "\n".join(sources(path, "markdown"))
    assert len(CARD.findall(text)) == 1
    assert set(needs_of(path)) <= set(NEEDS)
    for cell in cells:
        if cell.cell_type == "code":
            assert cell.execution_count, f"not executed: {cell.source[:60]}"
            kinds = {output.output_type for output in cell.outputs}
            assert "error" not in kinds
            assert not any(output.get("name") == "stderr" for output in cell.outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=stem)
def test_a_notebook_imports_no_private_name_and_swallows_no_error(path):
    closed = {"labs", "tests", "tools"}
    if path.name[:2] not in {"06", "07", "08", "09"}:  # part 2 looks at how the model is made
        closed.add("slm")
    for source in sources(path, "code"):
        code = "\n".join(line for line in source.splitlines() if not line.startswith(("%", "!")))
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom):
                assert not any(name.name.startswith("_") for name in node.names)
                assert (node.module or "").split(".")[0] not in closed
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None
                assert getattr(node.type, "id", "") not in {"Exception", "BaseException"}


@pytest.mark.parametrize("path", LESSONS, ids=stem)
def test_a_lesson_ends_with_three_questions_and_what_is_next(path):
    assert 10 <= len(read(path).cells) <= 25
    text = "\n".join(sources(path, "markdown"))
    questions = text.split("## Test yourself")[1]
    assert len(re.findall(r"^\*\*\d\.\*\*", questions, re.MULTILINE)) == 3
    assert questions.count("<summary>Answer</summary>") == 3
    last = sources(path, "markdown")[-1]
    assert re.search(r"\]\((\.\./labs/|\d\d_)\w+\.ipynb\)", last)


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("models/*/README.md")]


@pytest.mark.parametrize("path", [*NOTEBOOKS, *LABS, *PAGES], ids=stem)
def test_links_lead_somewhere(path):
    is_notebook = path.suffix == ".ipynb"
    texts = sources(path, "markdown") if is_notebook else [path.read_text(encoding="utf-8")]
    for text in texts:
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            if "://" not in link:
                assert (path.parent / link).exists(), link
