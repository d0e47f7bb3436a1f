"""The maintainer's commands that the other tests do not use already."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import card, execute

CARD = "**Time** 20 min, runs in 5 s · **Peak RAM** 1000 MB · **Needs** nothing"


def write(path, *cells):
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


def test_a_notebook_keeps_its_outputs_and_gets_its_figures(tmp_path):
    code = new_code_cell("import ipywidgets\nprint(6 * 7)\nipywidgets.IntSlider()")
    path = write(tmp_path / "a.ipynb", new_markdown_cell("# A"), new_markdown_cell(CARD), code)
    seconds, peak = execute.execute(path)
    made = nbformat.read(path, as_version=4)
    assert seconds > 0 and peak > 20e6
    assert "runs in 5 s" in made.cells[1].source or "runs in 10 s" in made.cells[1].source
    assert "**Peak RAM** 1000 MB" not in made.cells[1].source
    assert made.cells[2].outputs[0].text == "42\n"
    assert "application/vnd.jupyter.widget-view+json" not in made.cells[2].outputs[1].data
    assert [cell.id for cell in made.cells] == ["c01", "c02", "c03"]
    assert "widgets" not in made.metadata


def test_a_failing_notebook_is_left_as_it_was(tmp_path):
    path = write(tmp_path / "a.ipynb", new_markdown_cell(CARD), new_code_cell("1 / 0"))
    before = path.read_bytes()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        execute.execute(path)
    assert path.read_bytes() == before


def test_a_notebook_without_a_card_is_refused(tmp_path):
    path = write(tmp_path / "a.ipynb", new_code_cell("1"))
    with pytest.raises(ValueError, match="no card"):
        execute.execute(path)


def rate(right, count):
    return {"right": right, "count": count, "low": 0.25, "high": 0.755}


def column(right, **more):
    rates = {"patterns: call": rate(right, 4), "patterns: routing": rate(0, 0)}
    return {"rates": rates, "valid calls": rate(4, 4), "cases": dict.fromkeys("abcd"), **more}


def test_a_card_gets_the_exams_table_and_keeps_the_rest(tmp_path, monkeypatch):
    flips = {"calls": {"cases": 1048, "right to wrong": 3, "wrong to right": 1}}
    columns = {
        "BM25": column(1),
        "tiny F16": column(2),
        "tiny Q8_0": column(2, auroc=0.9123, perplexity={"value": 3.14159}, flips=flips),
        "tiny Q8_0 constrained": column(3),
    }
    report = tmp_path / "exam.json"
    report.write_text(json.dumps({"columns": columns}), encoding="utf-8")
    page = tmp_path / "tiny" / "README.md"
    page.parent.mkdir()
    page.write_text(f"above\n{card.BEGIN}\nold\n{card.END}\nbelow\n", encoding="utf-8")
    monkeypatch.setattr(card, "MODELS", tmp_path)
    card.main([str(report)])
    card.main([str(report)])  # once more changes nothing
    lines = page.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "above" and lines[-1] == "below" and "old" not in lines
    assert "| measure | cases | BM25 | Q8_0 | Q8_0 constrained |" in lines
    assert (
        "| patterns: call | 4 | 25.0% (25.0-75.5) | 50.0% (25.0-75.5) | 75.0% (25.0-75.5) |"
    ) in lines
    assert "| patterns: routing | 0 | - | - | - |" in lines
    assert any("AUROC 0.912, perplexity 3.142, of 1,048 calls 3 went" in line for line in lines)
    page.write_text("no place for it\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="no place"):
        card.main([str(report)])
    assert page.read_text(encoding="utf-8") == "no place for it\n"
