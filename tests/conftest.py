"""What all tests share: what a test `needs`, COURSE_REQUIRE, and the list of notebooks that ran.

A test says what it needs with `@pytest.mark.needs("chromium")`, a notebook in its metadata
(`course.needs`). What is missing skips the test and says how to get it; COURSE_REQUIRE=all turns
every skip into a failure, so that CI cannot pass by leaving something out.
"""

import importlib.util
import json
import os
import shutil
import socket
import sys
import urllib.request
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from helpers import backends

ROOT = Path(__file__).parents[1]
CHROMIUMS = ["chromium", "chromium-browser", "google-chrome", "chrome"]

# What a test or notebook may need, whether it is here, and how to get it.
NEEDS = {
    "inside": (
        lambda: importlib.util.find_spec("llama_cpp"),
        "llama-cpp-python: uv sync --extra all",
    ),
    "torch": (lambda: importlib.util.find_spec("torch"), "pip install -r slm/requirements.txt"),
    "transformers": (
        lambda: importlib.util.find_spec("transformers"),
        "transformers: uv sync --extra test",
    ),
    "chromium": (
        lambda: chromium(),
        "a Chromium: apt-get install chromium, or set CHROMIUM to its path",
    ),
    "posix": (lambda: os.name == "posix", "Linux or macOS"),
    "linux": (lambda: sys.platform == "linux", "Linux"),
    "onnx": (
        lambda: importlib.util.find_spec("onnxruntime_genai"),
        "onnxruntime-genai: uv sync --extra all",
    ),
    "foundry": (
        lambda: importlib.util.find_spec("foundry_local_sdk"),
        "foundry-local-sdk: uv sync --extra all",
    ),
    "openvino": (
        lambda: importlib.util.find_spec("openvino_genai"),
        "openvino-genai: uv sync --extra all",
    ),
    "mlx": (lambda: importlib.util.find_spec("mlx_lm"), "mlx and mlx-lm: uv sync --extra all"),
    "vllm": (
        lambda: not backends.available()["vllm"].missing,
        "vLLM in an environment of its own: python -m tools vllm",
    ),
}
# What a runtime's tests need, where it is not in the core install.
RUNTIME_NEEDS = {name: (name,) for name in ("onnx", "foundry", "openvino", "mlx", "vllm")}


def chromium() -> str | None:
    """The path of a Chromium: CHROMIUM, else the first that is on PATH."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUMS)), None)


@cache
def needs_of(notebook: Path) -> list[str]:
    metadata = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]
    return metadata.get("course", {}).get("needs", [])


def skip_without(names: list[str]) -> None:
    """Skip the running test, with the reason, when something of NEEDS is not here."""
    for name in names:
        here, mend = NEEDS[name]
        if not here():
            pytest.skip(f"needs {name}: {mend}")


def free_port() -> int:
    """A port of this machine that nobody listens to just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def post(backend, path: str, content: dict) -> dict:
    """What the server's own, not OpenAI's, API answers."""
    url = backend.base_url.removesuffix("/v1") + path
    request = urllib.request.Request(
        url, json.dumps(content).encode("utf-8"), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.loads(response.read())


def pytest_configure(config):
    # The tests are about the course's own model, whatever the reader's settings are.
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "COURSE_BACKEND", "COURSE_MODEL"):
        os.environ.pop(name, None)
    # Built here once: made in a notebook, its warning on stderr would be an output to compare.
    import matplotlib.font_manager  # noqa: F401

    config.addinivalue_line("markers", "needs(*names): what must be installed, see conftest.NEEDS")


def pytest_runtest_setup(item):
    names = [name for mark in item.iter_markers("needs") for name in mark.args]
    if item.path.suffix == ".ipynb":
        names += needs_of(item.path)
    skip_without(names)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    # nbval marks the cells behind one that timed out as expected failures: these are no skips.
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if skipped and os.environ.get("COURSE_REQUIRE") == "all":
        report.outcome = "failed"
        report.longrepr = f"COURSE_REQUIRE=all allows no skip: {report.longrepr[-1]}"
    return report


def pytest_terminal_summary(terminalreporter):
    """Which notebooks ran, and how long each took."""
    seconds, outcomes = defaultdict(float), defaultdict(set)
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.getreports(outcome):
            if (name := report.nodeid.split("::")[0]).endswith(".ipynb"):
                seconds[name] += report.duration
                outcomes[name].add(outcome)
    if seconds:
        terminalreporter.section("notebooks")
    for name in sorted(seconds):
        result = "passed" if outcomes[name] == {"passed"} else "/".join(sorted(outcomes[name]))
        terminalreporter.write_line(f"{result:8} {seconds[name]:6.1f} s  {name}")


@pytest.fixture
def new_cache(tmp_path, monkeypatch):
    """An empty cache folder for built model files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def backend():
    """The course's model, served once for all tests that only ask it."""
    from helpers import backends

    with backends.start("llama.cpp") as started:
        yield started
