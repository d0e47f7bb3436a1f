"""The maintainer's commands that the other tests do not use already."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import execute

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
