"""Lint and format, by ruff; it also catches files opened without an encoding (PLW1514)."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

OPENED = 'from pathlib import Path\n\nPath("a").read_text()\n'


def ruff(*arguments, text=None):
    command = [sys.executable, "-m", "ruff", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", input=text)


@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids=lambda c: c[0])
def test_ruff_has_nothing_to_say(command):
    done = ruff(*command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_file_opened_without_an_encoding_is_caught():
    done = ruff("check", "--stdin-filename", "helpers/made_up.py", "-", text=OPENED)
    assert done.returncode == 1
    assert "unspecified-encoding" in done.stdout
