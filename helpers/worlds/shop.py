"""A shop's orders and its support desk: what an agent with tools can look up and change.

>>> shop = Shop(seed=0)
>>> shop.lookup_order_status("none such")
{'error': 'unknown order'}
"""

import random

LATE = ("delayed", "late", "lost")
ON_TIME = ("shipped", "delivered", "packed", "on its way")


class Shop:
    """`count` orders, two in five of them late; the tickets that were opened; how often asked."""

    def __init__(self, seed: int, count: int = 10):
        rng = random.Random(seed)
        numbers = rng.sample(range(1000, 10_000), count)
        self.orders = {
            f"{rng.choice('ABCDEK')}-{number}": rng.choice(LATE if rng.random() < 0.4 else ON_TIME)
            for number in numbers
        }
        self.tickets: list[dict] = []
        self.lookups: list[str] = []

    def lookup_order_status(self, order_id: str) -> dict:
        """The status of an order, or an error when there is no such order."""
        self.lookups.append(order_id)
        if order_id not in self.orders:
            return {"error": "unknown order"}
        return {"order_id": order_id, "status": self.orders[order_id]}

    def create_support_ticket(self, issue: str, priority: str) -> dict:
        """Open a ticket; priority is low, medium or high. The new ticket's id."""
        if priority not in {"low", "medium", "high"}:
            return {"error": "priority must be low, medium or high"}
        self.tickets.append({"issue": issue, "priority": priority})
        return {"ticket_id": f"T-{100 + len(self.tickets)}"}

    def is_late(self, order_id: str) -> bool:
        return self.orders[order_id] in LATE

    def tickets_about(self, order_id: str) -> list[dict]:
        return [ticket for ticket in self.tickets if order_id in ticket["issue"]]
