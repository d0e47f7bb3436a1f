"""A company's data in SQLite, and the tools that look it up and change it.

>>> with Company(seed=1) as company:
...     company.lookup_order_status("none such")
{'error': 'no such order'}

Customers, products, orders and invoices are drawn from the seed; what the tools do is written into
tables of its own (`DEEDS`), so that it can be compared with what was wanted. With a path the data
are a file that any other program may open; without one they live in memory.
"""

import random
import sqlite3
from pathlib import Path

SCHEMA = """
create table customers (
    customer_id text primary key, name text, plan text, preferred_time text);
create table products (
    product_sku text primary key, product_category text, in_stock integer, price real);
create table orders (
    order_id text primary key, customer_id text references customers,
    product_sku text references products, quantity integer, status text, eta text);
create table invoices (
    invoice_number text primary key, vendor text, total real, problem text);
create table tickets (ticket_id text, issue text, priority text);
create table callbacks (customer_id text, preferred_time text);
create table escalations (case_id text, issue text, customer_id text);
create table refunds (refund_id text, order_id text, reason text, amount real);
create table quotes (quote_id text, product_sku text, quantity integer, total real);
create table approvals (invoice_number text, approver text);
"""
DEEDS = ("tickets", "callbacks", "escalations", "refunds", "quotes", "approvals")
LATE = ("delayed", "late", "lost")
ON_TIME = ("shipped", "delivered", "packed", "on its way")

NAMES = """Ada Park;Boris Lind;Carla Mendes;Daniel Osei;Elif Kaya;Farid Haddad;Greta Holm;Hugo Blanc
Ines Rocha;Jonas Weber;Kaori Sato;Lena Fischer;Marek Nowak;Nadia Petrova;Omar Said;Paula Ruiz"""
VENDORS = "Nordlicht Paper;Harbour Energy;Blue Crate;Kestrel IT;Molina Foods".split(";")
CATEGORIES = ("lamps", "chairs", "desks", "headphones")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


class Company:
    """One company; the same seed gives the same one. Close it, or use it in a `with`."""

    def __init__(self, seed: int, path: str | Path = ":memory:"):
        """Draw the data. FileExistsError where the path has a file already: it is not touched."""
        if path != ":memory:" and Path(path).exists():
            raise FileExistsError(f"{path} is there already: choose another name, or delete it")
        self._data = sqlite3.connect(path)
        self._data.row_factory = sqlite3.Row
        self._data.executescript(SCHEMA)
        with self._data:  # one commit for all of it
            self._draw(random.Random(f"company {seed}"))

    def query(self, sql: str, *values) -> list[dict]:
        """The rows that an SQL statement selects; `?` in it stands for a value."""
        return [dict(row) for row in self._data.execute(sql, values)]

    def deeds(self) -> dict[str, list[dict]]:
        """What the tools have done so far: the rows of each table in `DEEDS`."""
        return {table: self.query(f"select * from {table} order by rowid") for table in DEEDS}

    def close(self) -> None:
        self._data.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- tools: each returns a dict, with "error" where it cannot be done

    def lookup_customer(self, customer_id: str) -> dict:
        """Look up a customer's name, plan, and preferred time for a call where one is known."""
        found = self._one("customers", "customer_id", customer_id, "no such customer")
        return {key: value for key, value in found.items() if value and key != "customer_id"}

    def lookup_order_status(self, order_id: str) -> dict:
        """Look up the status of an order."""
        order = self._one("orders", "order_id", order_id, "no such order")
        return {key: order[key] for key in ("order_id", "status", "eta", "error") if order.get(key)}

    def create_support_ticket(self, issue: str, priority: str) -> dict:
        """Open a support ticket; the priority is low, medium or high."""
        if priority not in {"low", "medium", "high"}:
            return {"error": "priority must be low, medium or high"}
        ticket = self._number("tickets", "T", 101)
        self._add("tickets", ticket, issue, priority)
        return {"ticket_id": ticket}

    def schedule_callback(self, customer_id: str, preferred_time: str) -> dict:
        """Schedule a call back to a customer."""
        if "error" in (customer := self.lookup_customer(customer_id)):
            return customer
        self._add("callbacks", customer_id, preferred_time)
        return {"status": "scheduled"}

    def escalate_to_human(self, issue: str, customer_id: str) -> dict:
        """Hand a customer's case over to a person."""
        if "error" in (customer := self.lookup_customer(customer_id)):
            return customer
        case = self._number("escalations", "E", 501)
        self._add("escalations", case, issue, customer_id)
        return {"case_id": case}

    def refund_order(self, order_id: str, reason: str) -> dict:
        """Refund an order."""
        sql = "select quantity * price as amount from orders join products using (product_sku)"
        found = self.query(f"{sql} where order_id = ?", order_id)
        if not found:
            return {"error": "no such order"}
        refund, amount = self._number("refunds", "R", 301), round(found[0]["amount"], 2)
        self._add("refunds", refund, order_id, reason, amount)
        return {"refund_id": refund, "amount": amount}

    def check_inventory(self, product_sku: str) -> dict:
        """Check whether a product is in stock."""
        product = self._one("products", "product_sku", product_sku, "no such product")
        if "error" in product:
            return product
        return {"product_sku": product_sku, "available": product["in_stock"] > 0}

    def create_price_quote(self, product_sku: str, quantity: int) -> dict:
        """Make a price quote."""
        product = self._one("products", "product_sku", product_sku, "no such product")
        if "error" in product:
            return product
        quote, total = self._number("quotes", "Q", 701), round(quantity * product["price"], 2)
        self._add("quotes", quote, product_sku, quantity, total)
        return {"quote_id": quote, "total": total}

    def validate_invoice(self, invoice_number: str) -> dict:
        """Check whether an invoice is valid."""
        invoice = self._one("invoices", "invoice_number", invoice_number, "no such invoice")
        if "error" in invoice:
            return invoice
        if invoice["problem"]:
            return {"valid": False, "reason": invoice["problem"]}
        return {"valid": True}

    def approve_invoice(self, invoice_number: str, approver: str) -> dict:
        """Approve an invoice in somebody's name."""
        if "error" in (invoice := self.validate_invoice(invoice_number)):
            return invoice
        self._add("approvals", invoice_number, approver)
        return {"status": "approved"}

    # ---- how it is made

    def _one(self, table: str, key: str, value: str, error: str) -> dict:
        found = self.query(f"select * from {table} where {key} = ?", value)
        return found[0] if found else {"error": error}

    def _number(self, table: str, letter: str, first: int) -> str:
        return f"{letter}-{first + self.query(f'select count(*) as n from {table}')[0]['n']}"

    def _add(self, table: str, *values) -> None:
        with self._data:  # commits, or takes everything back
            self._insert(table, *values)

    def _insert(self, table: str, *values) -> None:
        marks = ", ".join("?" * len(values))
        self._data.execute(f"insert into {table} values ({marks})", values)

    def _draw(self, rng: random.Random) -> None:
        def ids(prefix, count):
            return [f"{prefix}-{number}" for number in rng.sample(range(1000, 10_000), count)]

        names = NAMES.replace("\n", ";").split(";")
        rng.shuffle(names)
        for number, customer in enumerate(ids("C", 16)):
            time = f"{rng.choice(DAYS)} at {rng.randint(9, 17)}:{rng.choice(['00', '30'])}"
            plan = rng.choice(["premium", "basic"])
            time = time if number % 2 else None  # half have not said when to call
            self._insert("customers", customer, names[number], plan, time)
        for number, sku in enumerate(ids("SKU", 16)):
            stock = rng.choice([0, rng.randint(20, 90)])
            price = rng.randint(900, 20_000) / 100
            self._insert("products", sku, CATEGORIES[number % len(CATEGORIES)], stock, price)
        customers = [row["customer_id"] for row in self.query("select * from customers")]
        products = [row["product_sku"] for row in self.query("select * from products")]
        for order in ids("A", 24):
            status = rng.choice(LATE if rng.random() < 0.5 else ON_TIME)
            eta = f"{rng.randint(1, 28)} May" if status in {"delayed", "on its way"} else None
            whose, what = rng.choice(customers), rng.choice(products)
            self._insert("orders", order, whose, what, rng.randint(1, 4), status, eta)
        for invoice in ids("INV", 16):
            problem = rng.choice(
                [None, rng.choice(["the total does not match", "duplicate of INV-1042"])]
            )
            total = rng.randint(5_000, 90_000) / 100
            self._insert("invoices", invoice, rng.choice(VENDORS), total, problem)
