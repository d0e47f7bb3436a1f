"""Errands for an agent at a company: what somebody writes, and what shall have been done then.

>>> from helpers.company import Company
>>> with Company(seed=1) as company:
...     errand = next(one for one in errands(company, seed=1) if one.wanted)
...     errand.is_done(company)
False
"""

import random
from dataclasses import dataclass

from helpers.company import LATE, Company

# The desk that an errand comes to has the tools for it.
DESKS = {
    "shipping": ("lookup_order_status", "create_support_ticket"),
    "refunds": ("lookup_order_status", "refund_order"),
    "callbacks": ("lookup_customer", "schedule_callback"),
    "sales": ("check_inventory", "create_price_quote"),
    "invoices": ("validate_invoice", "approve_invoice"),
    "complaints": ("lookup_customer", "escalate_to_human"),
}


@dataclass(frozen=True)
class Errand:
    """`about` is the id of its thing, `wanted` the rows to be added: (table, {column: value})."""

    text: str
    desk: str  # a key of DESKS
    about: str
    wanted: tuple[tuple[str, dict], ...] = ()

    def is_done(self, company: Company) -> bool:
        """Whether of all that was done about this thing, everything was wanted and nothing more."""
        mine = [
            (table, row)
            for table, rows in company.deeds().items()
            for row in rows
            if any(self.about in str(value) for value in row.values())
        ]
        done = [
            any(table == t and _fits(row, cells) for t, row in mine) for table, cells in self.wanted
        ]
        return len(mine) == len(self.wanted) and all(done)


def errands(company: Company, seed: int, count: int = 12) -> list[Errand]:
    """So many errands, each about another thing, of all kinds in turn; ValueError for over 24.

    The seventh of every twelve is about an order that does not exist: nothing can be done.
    """
    if count > 24:
        raise ValueError(f"a company has things for 24 errands, not for {count}")
    rng = random.Random(f"errands {seed}")
    tables = ("customers", "products", "orders", "invoices")
    left = {table: company.query(f"select * from {table}") for table in tables}
    for rows in left.values():
        rng.shuffle(rows)
    kinds = (_late, _refund, _callback, _stock, _invoice, _escalate)
    made = [kinds[number % len(kinds)](rng, left) for number in range(count)]
    for number in range(6, count, 12):
        made[number] = _unknown(rng)
    return made


def _fits(row: dict, cells: dict) -> bool:
    """Whether a row has these values; an issue is in the agent's own words and names the thing."""
    return all(
        value in row[column] if column == "issue" else value == row[column]
        for column, value in cells.items()
    )


def _late(rng, left) -> Errand:
    order = left["orders"].pop()
    about = order["order_id"]
    text = rng.choice(
        [
            IF_LATE,
            "Look up {}. If it is delayed, late or lost, create a high priority ticket for it.",
        ]
    )
    wanted = (("tickets", {"issue": about, "priority": "high"}),)
    return Errand(text.format(about), "shipping", about, wanted if order["status"] in LATE else ())


def _unknown(rng) -> Errand:
    about = f"Z-{rng.randint(1000, 9999)}"
    return Errand(IF_LATE.format(about), "shipping", about)


def _refund(rng, left) -> Errand:
    order = left["orders"].pop()
    about = order["order_id"]
    wanted = (("refunds", {"order_id": about}),)
    text = f"Check the status of order {about}. If it is lost, refund it."
    return Errand(text, "refunds", about, wanted if order["status"] == "lost" else ())


def _callback(rng, left) -> Errand:
    customer = _customer(left, with_time=True)
    about = customer["customer_id"]
    wanted = (("callbacks", {key: customer[key] for key in ("customer_id", "preferred_time")}),)
    text = f"Look up customer {about} and schedule a callback at the time they prefer."
    return Errand(text, "callbacks", about, wanted)


def _escalate(rng, left) -> Errand:
    customer, issue = _customer(left, with_time=False), rng.choice(ISSUES)
    about = customer["customer_id"]
    wanted = (("escalations", {"customer_id": about, "issue": issue}),)
    text = f"Look up customer {about}. If they are premium, escalate this: {issue}."
    return Errand(text, "complaints", about, wanted if customer["plan"] == "premium" else ())


def _customer(left, with_time: bool) -> dict:
    wanted = (one for one in left["customers"] if bool(one["preferred_time"]) == with_time)
    customer = next(wanted)
    left["customers"].remove(customer)
    return customer


def _stock(rng, left) -> Errand:
    product = next(row for row in reversed(left["products"]) if row["in_stock"])
    left["products"].remove(product)
    about, quantity = product["product_sku"], rng.randint(2, 15)
    wanted = (("quotes", {"product_sku": about, "quantity": quantity}),)
    text = f"Check that {about} is in stock and make a quote for {quantity}."
    return Errand(text, "sales", about, wanted)


def _invoice(rng, left) -> Errand:
    invoice, approver = left["invoices"].pop(), rng.choice(APPROVERS)
    about = invoice["invoice_number"]
    wanted = (("approvals", {"invoice_number": about, "approver": approver}),)
    text = f"Validate invoice {about}. If it is valid, approve it for {approver}."
    return Errand(text, "invoices", about, () if invoice["problem"] else wanted)


IF_LATE = "Check order {} and if it is late open a high priority ticket."
ISSUES = ("charged twice", "wrong address", "the chair is broken", "a part is missing")
APPROVERS = ("Ada Park", "Omar Said", "Greta Holm")
