"""The doctor, and a learner's own copies of labs."""

import os
import subprocess
import sys

import pytest

from helpers import __main__ as command
from helpers import model
from helpers.worlds.shop import Shop


def doctor(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "helpers", *arguments],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONUTF8": "1"} | environment,
        timeout=120,
    )


def test_the_doctor_finds_all_well_and_gets_an_answer():
    done = doctor()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[missing]" not in done.stdout
    assert "> Who are you?" in done.stdout
    assert "tokens/s" in done.stdout
    assert done.stdout.strip().endswith("All is well.")


def test_the_doctor_names_what_is_missing(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = doctor(XDG_CACHE_HOME=str(tmp_path / "file"))
    assert done.returncode == 1
    assert "[missing] an answer from the model" in done.stdout
    assert "set XDG_CACHE_HOME" in done.stdout


def test_a_damaged_model_is_the_doctors_finding(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(model, "MODELS", tmp_path)
    assert not command.doctor()
    assert "there is no model 'edge-slm'" in capsys.readouterr().out


def test_a_lab_is_copied_once_and_never_overwritten(tmp_path, monkeypatch, capsys):
    (tmp_path / "labs").mkdir()
    (tmp_path / "labs" / "01_reflex_agents.ipynb").write_text("blank", encoding="utf-8")
    monkeypatch.setattr(command, "ROOT", tmp_path)
    mine = command.copy_lab("1")
    assert mine == tmp_path / "work" / "01_reflex_agents.ipynb"
    mine.write_text("my answer", encoding="utf-8")
    command.copy_lab("01")
    assert mine.read_text(encoding="utf-8") == "my answer"
    assert "as you left it" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="there is no lab 99: the labs are 01"):
        command.copy_lab("99")


def test_a_shop_is_seeded_and_keeps_a_record():
    shop = Shop(seed=5)
    assert shop.orders == Shop(seed=5).orders != Shop(seed=6).orders
    order_id = next(iter(shop.orders))
    assert shop.lookup_order_status(order_id)["status"] == shop.orders[order_id]
    assert "error" in shop.create_support_ticket("x", "urgent")
    assert shop.create_support_ticket(f"order {order_id} is late", "high") == {"ticket_id": "T-101"}
    assert len(shop.tickets_about(order_id)) == 1
