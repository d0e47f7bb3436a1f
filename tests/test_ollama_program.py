"""Ollama as a program on PATH: how it is started, asked, and ended.

Ollama itself cannot come with the tests. What stands on PATH here is called like it, is set by the
same variables and has its API, which the course's server gives it.
"""

import os
import shlex
import socket
import subprocess
import sys

import psutil
import pytest

from helpers import backends
from helpers.backends import ollama
from tests.test_every_backend import HOLDER
from tests.test_ollama import GREEDY, TOOLS, WEATHER

pytestmark = pytest.mark.needs("posix")

PROGRAM = """#!/bin/sh
test "$*" = serve || exit 2
{body}
"""
# It does not end with its standard input, as Ollama does not, and has a process of its own.
SERVE = """
sleep 600 | {python} -c '
import os, sys
from helpers.serving import __main__, ollama
ollama.VERSION = "{version}"
sys.argv[1:] = ["ollama", "--port=" + os.environ["OLLAMA_HOST"].split(":")[1]]
__main__.main()'
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts an ollama on PATH, and none at its port."""

    def put(body: str = SERVE, version: str = "0.33.0") -> None:
        text = PROGRAM.format(body=body.format(python=shlex.quote(sys.executable), version=version))
        path = tmp_path / "bin" / "ollama"
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{nobody.getsockname()[1]}")
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
        yield put


def family() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def test_it_is_started_gets_the_model_and_leaves_no_process(program):
    program()
    before = family()
    with backends.start("ollama") as backend:
        started = family() - before
        assert any(" serve" in " ".join(one.cmdline()) for one in started)
        reply = backend.ollama().chat("edge-slm", WEATHER, tools=TOOLS, options=GREEDY)
        assert reply.message.tool_calls[0].function.arguments == {"city": "Oslo"}
        said = backend.openai().chat.completions.create(
            model=backend.model, messages=WEATHER, max_tokens=5
        )
        assert said.usage.completion_tokens == 5
        assert backend.memory() > 50_000_000
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive


def test_an_answering_one_comes_first_and_is_left_alone(program, monkeypatch):
    program("exit 1")
    with backends.start("ollama", real=False) as served:
        monkeypatch.setenv("OLLAMA_HOST", served.base_url.removesuffix("/v1"))
        with backends.start("ollama", real=True) as found:
            assert found.base_url == served.base_url
        served.health()


def test_a_model_of_that_name_that_is_another_is_replaced(program, new_cache, monkeypatch):
    program()
    with backends.start("ollama") as first:
        client = first.ollama()
        mine = client.show("edge-slm").modelfile
        client.copy("edge-slm-nano", "edge-slm")  # as an earlier edge-slm would be
        assert client.show("edge-slm").modelfile != mine
        monkeypatch.setenv("OLLAMA_HOST", first.base_url.removesuffix("/v1"))
        with backends.start("ollama") as again:
            assert again.base_url == first.base_url
        assert client.show("edge-slm").modelfile == mine
        client.delete("edge-slm")


def test_an_old_one_is_named_and_ended(program):
    program(version="0.12.6")
    before = family()
    with pytest.raises(backends.BackendError, match=r"Ollama is 0\.12\.6; from 0\.30 on"):
        backends.start("ollama")
    _, alive = psutil.wait_procs(family() - before, timeout=10)
    assert not alive


def test_one_that_fails_is_named_with_its_own_words(program):
    program("echo 'Error: no room left' >&2; exit 3")
    with pytest.raises(backends.BackendError, match=r"no room left\nOllama ended with 3"):
        backends.start("ollama")


def test_one_that_says_nothing_is_ended_in_time(program):
    program("exec sleep 600")
    before = family()
    with pytest.raises(backends.BackendError, match="not ready within 1 s"):
        backends.start("ollama", timeout=1)
    assert not family() - before


def test_a_taken_port_is_named(program):
    program()
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(backends.BackendError, match=f"port {port} is taken"):
            backends.start("ollama", port=port)


def test_without_any_it_says_what_to_do(program, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(backends.BackendError, match="none is on PATH"):
        backends.start("ollama", real=True)


def test_a_killed_notebook_leaves_no_process(program):
    program()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, "ollama"], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"up\n"
        started = psutil.Process(holder.pid).children(recursive=True)
        assert len(started) > 3
        started[0].kill()  # the supervisor, too
        holder.kill()
    _, alive = psutil.wait_procs(started, timeout=20)
    assert not alive


@pytest.mark.parametrize("version", ["0.30.0", "0.33.0-rc2", "1.0.1", "0.0.0", None])
def test_versions_that_will_do(version):
    ollama._require_new(version)
