"""The lessons run unchanged on a server that somebody else runs."""

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT
from tests.test_backends import servers


@pytest.mark.parametrize("name", ["00_start_here", "05_slm_agent_loop"])
def test_a_lesson_runs_on_an_attached_server(backend, name, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", backend.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "a-teachers-key")
    before = backend.metrics()["completion_tokens"]
    running = len(servers())
    path = ROOT / "notebooks" / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=300, resources=folder)
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        # It asked that server, and started none of its own.
        assert backend.metrics()["completion_tokens"] > before + 20
        assert len(servers()) == running
