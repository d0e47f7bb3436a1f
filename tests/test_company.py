"""The company's database, its tools, and who judges what was done in it."""

import sqlite3

import pytest

from helpers.company import DEEDS, Company
from helpers.worlds.errands import DESKS, errands
from tests.cases.lab05 import carry_out


@pytest.fixture
def company():
    with Company(seed=3) as made:
        yield made


def first(company, table, condition="true"):
    return company.query(f"select * from {table} where {condition} limit 1")[0]


def test_the_same_seed_gives_the_same_company(company):
    with Company(seed=3) as again, Company(seed=4) as other:
        for table in ("customers", "products", "orders", "invoices"):
            sql = f"select * from {table}"
            assert again.query(sql) == company.query(sql) != other.query(sql)


def test_its_file_can_be_read_by_others_and_is_never_overwritten(tmp_path):
    path = tmp_path / "company.db"
    with Company(seed=3, path=path) as made:
        made.create_support_ticket("order A-1 is late", "high")
        other = sqlite3.connect(path)
        assert other.execute("select issue from tickets").fetchall() == [("order A-1 is late",)]
        other.close()
    with pytest.raises(FileExistsError, match="choose another name"):
        Company(seed=4, path=path)


def test_what_is_not_there_is_said_and_nothing_is_done(company):
    for error in (
        company.lookup_customer("C-0"),
        company.lookup_order_status("A-0"),
        company.schedule_callback("C-0", "now"),
        company.escalate_to_human("help", "C-0"),
        company.refund_order("A-0", "lost"),
        company.check_inventory("SKU-0"),
        company.create_price_quote("SKU-0", 3),
        company.validate_invoice("INV-0"),
        company.approve_invoice("INV-0", "Ada Park"),
        company.create_support_ticket("help", "huge"),
    ):
        assert set(error) == {"error"}
    assert not any(company.deeds().values())


def test_deeds_are_numbered_and_counted_out(company):
    assert [company.create_support_ticket(i, "low")["ticket_id"] for i in "ab"] == [
        "T-101",
        "T-102",
    ]
    product = first(company, "products", "in_stock > 0")
    quote = company.create_price_quote(product["product_sku"], 3)
    assert quote["total"] == round(3 * product["price"], 2)
    assert company.check_inventory(product["product_sku"])["available"]
    bad = first(company, "invoices", "problem is not null")
    assert company.validate_invoice(bad["invoice_number"])["reason"] == bad["problem"]


def test_an_errand_is_done_when_its_rows_are_there_and_no_others():
    wanted = set()
    for seed in (3, 4, 5):
        with Company(seed) as company:
            given = errands(company, seed, count=24)
            assert len({errand.about for errand in given}) == 24
            assert {errand.desk for errand in given} == set(DESKS)
            wanted |= {table for errand in given for table, _ in errand.wanted}
            for errand in given:
                assert errand.is_done(company) == (not errand.wanted), errand
                carry_out(company, errand)
                assert errand.is_done(company), errand
                company.create_support_ticket(f"about {errand.about}", "high")
                assert not errand.is_done(company), errand
            with pytest.raises(ValueError, match="24 errands"):
                errands(company, seed, count=25)
    assert wanted == set(DEEDS)


def test_a_deed_with_a_wrong_value_is_not_what_was_wanted(company):
    (callback,) = [e for e in errands(company, seed=3, count=6) if e.desk == "callbacks"]
    company.schedule_callback(callback.about, "some day")
    assert not callback.is_done(company)
