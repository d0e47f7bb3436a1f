"""Every check of every lab rejects a blank and its typical wrong answers, in words that help.

`tests/cases/labNN.py` holds WRONG, a dict from a check's name to its cases. That a check accepts
the solution is tested where the solution notebook is run.
"""

import importlib
import pkgutil
import re

import pytest

from helpers import checks
from tests import cases
from tests.conftest import skip_without

LABS = sorted(m.name for m in pkgutil.iter_modules(cases.__path__))
MODULES = {lab: importlib.import_module(f"tests.cases.{lab}") for lab in LABS}
WRONG = {lab: module.WRONG for lab, module in MODULES.items()}
CASES = [(lab, c, case) for lab in LABS for c, cs in WRONG[lab].items() for case in cs]


def blank(*args, **kwargs):
    raise NotImplementedError("your turn")


def skip_without_what_it_needs(lab, check):
    """A check that needs more than the core install is named in its lab's NEEDS."""
    skip_without(getattr(MODULES[lab], "NEEDS", {}).get(check, []))


def name(value):
    return value if isinstance(value, str) else getattr(value[0], "__name__", None)


@pytest.mark.parametrize(("lab", "check", "case"), CASES, ids=name)
def test_a_wrong_answer_is_named(lab, check, case):
    skip_without_what_it_needs(lab, check)
    *answer, word = case
    with pytest.raises(AssertionError, match=re.escape(word)):
        getattr(getattr(checks, lab), check)(*answer)


@pytest.mark.parametrize(("lab", "check"), [(lab, c) for lab in LABS for c in WRONG[lab]])
def test_a_blank_passes_through(lab, check):
    skip_without_what_it_needs(lab, check)
    rest = WRONG[lab][check][0][1:-1]
    with pytest.raises(NotImplementedError):
        getattr(getattr(checks, lab), check)(blank, *rest)


@pytest.mark.parametrize("lab", LABS)
def test_every_check_has_at_least_two_wrong_answers(lab):
    names = {n for n in vars(getattr(checks, lab)) if n.startswith("check_")}
    assert names == set(WRONG[lab])
    assert all(len(cases) >= 2 for cases in WRONG[lab].values())
