"""Run notebooks as a reader would, keep what they show, and fill the figures on their cards.

A card's line begins with `**Time**`; its minutes of reading and what a notebook needs are written
by hand, `runs in` and `Peak RAM` are measured here, rounded up so that noise does not show.
"""

import contextlib
import math
import re
import threading
import time
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
RUNS_IN = re.compile(r"runs in \d+ s")
PEAK = re.compile(r"\*\*Peak RAM\*\* \d+ MB")


class Peak(threading.Thread):
    """The most memory (bytes) that this process's descendants held at once, sampled."""

    def __init__(self):
        super().__init__(daemon=True)
        self.most, self._stop_now = 0, threading.Event()

    def run(self) -> None:
        me = psutil.Process()
        while not self._stop_now.wait(0.05):
            total = 0
            for process in me.children(recursive=True):
                with contextlib.suppress(psutil.Error):  # it may have ended since the listing
                    total += process.memory_info().rss
            self.most = max(self.most, total)

    def stop(self) -> int:
        self._stop_now.set()
        self.join()
        return self.most


def execute(path: Path) -> tuple[float, int]:
    """Run one notebook in place. Returns seconds and peak bytes; an error in a cell is raised."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=600,
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    peak, started = Peak(), time.perf_counter()
    peak.start()
    try:
        client.execute()
    finally:
        most = peak.stop()
    seconds = time.perf_counter() - started
    tidy(notebook)
    fill_card(notebook, seconds, most)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    return seconds, most


def tidy(notebook) -> None:
    """Drop what would differ from machine to machine, and widgets that need a kernel to show."""
    notebook.metadata.language_info = nbformat.from_dict({"name": "python"})
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"c{number:02}"
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)


def fill_card(notebook, seconds: float, most: int) -> None:
    """Write `runs in 10 s` (steps of 5) and `**Peak RAM** 150 MB` (steps of 50) on the card."""
    card = next((cell for cell in notebook.cells if "**Peak RAM**" in cell.source), None)
    if card is None:
        raise ValueError("the notebook has no card: a line with **Time** and **Peak RAM**")
    card.source = RUNS_IN.sub(f"runs in {5 * math.ceil(seconds / 5)} s", card.source)
    card.source = PEAK.sub(f"**Peak RAM** {50 * math.ceil(most / 50e6)} MB", card.source)


def main(paths: list[str]) -> None:
    everything = [p for part in ("notebooks", "solutions") for p in (ROOT / part).glob("*.ipynb")]
    chosen = [Path(path).resolve() for path in paths] or sorted(everything)
    for path in chosen:
        seconds, most = execute(path)
        print(f"{path.parent.name}/{path.name}: {seconds:.1f} s, {most / 1e6:.0f} MB", flush=True)
