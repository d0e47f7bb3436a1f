"""Checks of the labs, one module a lab: `checks.lab01.check_rule(rule)`.

A check prints `ok: …` with what was shown and returns nothing. A wrong answer raises AssertionError
whose message names the likely mistake and where to look. NotImplementedError (a blank that is still
blank) passes through.
"""

import importlib


def __getattr__(name: str):
    # A lab's checks import what that lab needs: load them only when they are asked for.
    if name.startswith("lab"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
