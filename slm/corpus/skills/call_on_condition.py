"""Look an order up, and open a ticket only if it is late: the second call depends on the first."""

import random

from slm.corpus import scenes, values
from slm.corpus.conversation import Conversation, answer, call, system, user
from slm.corpus.patterns import Patterns, fill


def generate(rng: random.Random, words: Patterns) -> Conversation:
    pattern, spell = scenes.cased(rng, rng.choice(words["chain_order_ticket"]))
    order_id = spell(values.order_id(rng))
    # Where the user names no priority it is "medium".
    priority = values.priority(rng) if "{priority}" in pattern else "medium"
    text = values.spoken(rng, fill(pattern, order_id=order_id, priority=priority))
    late = rng.random() < 0.6
    status = rng.choice(scenes.LATE if late else scenes.ON_TIME)
    found, eta = scenes.order_result(rng, order_id, status)
    turns = [call("lookup_order_status", order_id=order_id), found]
    said = scenes.order_said(rng, words, order_id, status, eta)
    if late:
        issue = f"order {order_id} is {status}"
        opened, said_opened = scenes.ticket_opened(rng, words, issue, priority)
        turns += [call("create_support_ticket", issue=issue, priority=priority), opened]
        said = f"{said} {said_opened}"
    else:
        said = f"{said} No ticket is needed."
    messages = [*system(rng), user(text), *turns, answer(said)]
    wanted = ("lookup_order_status", "create_support_ticket")
    return Conversation("call_on_condition", messages, values.tools(rng, *wanted))
