"""Checks of lab 03, the delivery planner: small tables made by hand, then unseen countries."""

import heapq

from helpers.worlds.routes import (
    EVENING,
    MORNING,
    UNLOADING_MIN,
    WAGE_EUR_MIN,
    Country,
    Order,
    clock,
    orders_of_the_day,
)

# Days the notebook does not show: country, day, depot.
DAYS = ((3101, 1, "Hartwell"), (3102, 2, "Oakham"), (3103, 5, "Farrow"))
ENOUGH = 0.75  # share of the sentences that must become the right order: the model is a small one


def check_ways(ways) -> None:
    """`ways(country, origin, tolls)` gives minutes and toll of the fastest way to every town."""
    for seed, origin in ((3101, "Kelso"), (3104, "Alderton")):
        country = Country(seed)
        for tolls in (True, False):
            call = f'ways(country, "{origin}", tolls={tolls})'
            got, wanted = ways(country, origin, tolls), _ways(country, origin, tolls)
            assert got is not None, "ways returned None. Does it end with `return`?"
            assert isinstance(got, dict) and set(got) == set(country.towns), (
                f"{call} must be a dictionary with one entry for each of country.towns, "
                f"{len(country.towns)} in all, {origin} among them; junctions do not belong in it"
            )
            for town, (minutes, toll) in wanted.items():
                _same_way(call, town, got[town], minutes, toll, tolls)
    print("ok: minutes and tolls of all ways from two towns, with and without toll roads")


def check_deliver(deliver) -> None:
    """`deliver(order, arrival)` waits for opening, unloads, and refuses what comes too late."""
    order = Order("Kelso", opens=600, closes=660)
    for arrival, wanted, why in (
        (630, 640, "inside the window: unload for ten minutes"),
        (540, 610, "an hour too early: wait until the customer opens, then unload"),
        (655, 665, "begun in time, finished after closing: that is allowed"),
        (660, 670, "at the very minute of closing: still in time"),
        (661, None, "a minute after closing: too late, so None"),
    ):
        got = deliver(order, arrival)
        assert got == wanted, (
            f"open from 10:00 to 11:00, arrival at {clock(arrival)}: deliver gave {_time(got)}, "
            f"wanted {_time(wanted)} ({why})"
        )
    late = deliver(Order("Kelso", opens=900, closes=1000), 0)
    assert late == 910, f"a window from 900 to 1000, arrival at 0: got {late}, wanted 910"
    print("ok: waits, unloads, and knows what is too late")


def check_moves(moves) -> None:
    """`moves(state, legs)` yields every possible move with its cost and the state after it."""
    kelso = Order("Kelso", opens=480, closes=600)
    farrow = Order("Farrow", opens=700, closes=760, tolls=False)
    oakham = Order("Oakham", opens=480, closes=530)
    left = frozenset((kelso, farrow, oakham))
    legs = {
        ("Depot", "Kelso", True): (40.0, 6.0),
        ("Depot", "Kelso", False): (60.0, 0.0),
        ("Depot", "Farrow", True): (30.0, 4.0),
        ("Depot", "Farrow", False): (45.0, 0.0),
        ("Depot", "Oakham", True): (45.0, 5.0),
        ("Depot", "Oakham", False): (70.0, 0.0),
        ("Kelso", "Farrow", True): (20.0, 3.0),
        ("Kelso", "Farrow", False): (25.0, 0.0),
    }
    got = _listed(moves, ("Depot", 480, left), legs)
    actions = [action for action, _, _ in got]
    wanted = {
        (kelso, True): (WAGE_EUR_MIN * 50 + 6, ("Kelso", 530.0, left - {kelso})),
        (kelso, False): (WAGE_EUR_MIN * 70, ("Kelso", 550.0, left - {kelso})),
        (farrow, False): (WAGE_EUR_MIN * 230, ("Farrow", 710.0, left - {farrow})),
        (oakham, True): (WAGE_EUR_MIN * 55 + 5, ("Oakham", 535.0, left - {oakham})),
    }
    assert (farrow, True) not in actions, (
        "Farrow's order has tolls=False, and there is a move that goes there by toll roads"
    )
    assert (oakham, False) not in actions, (
        "without toll roads the van is at Oakham at 9:10, when it has closed, and there is a move "
        "that does it. Where deliver returns None, yield nothing"
    )
    missing = [action for action in wanted if action not in actions]
    assert not missing and len(actions) == len(wanted), (
        f"{len(actions)} moves from a depot with three orders, wanted {len(wanted)}. An order that "
        "allows tolls can be two moves, one with and one without: yield both"
    )
    for action, cost, after in got:
        _same_move(action, cost, after, *wanted[action])
    assert left == {kelso, farrow, oakham}, (
        "moves has changed `left`. Make a new set: left - {order}"
    )
    last = _listed(moves, ("Kelso", 550.0, frozenset((farrow,))), legs)
    assert [action for action, _, _ in last] == [(farrow, False)], (
        "with only Farrow's order left there is one move from Kelso, without tolls. Begin the way "
        "at the state's place, and at the state's time"
    )
    _same_move(*last[0], WAGE_EUR_MIN * 160, ("Farrow", 710.0, frozenset()))
    assert _listed(moves, ("Farrow", 710.0, frozenset()), legs) == [], "nothing left, nothing to do"
    print("ok: five moves from two states, with the right costs, and none that comes too late")


def check_plan(plan) -> None:
    """`plan(depot, orders, legs)` finds the cheapest day, or None, in countries not shown."""
    days = [(Country(seed), day, depot) for seed, day, depot in DAYS]
    for country, day, depot in days:
        orders = orders_of_the_day(country, day, depot)
        legs = _legs(country, [depot, *(order.to for order in orders)])
        best = _cheapest(depot, MORNING, frozenset(orders), legs)
        cost = _judged(plan(depot, list(orders), legs), depot, orders, legs)
        _cheap_enough(cost, best, f"a day with {len(orders)} orders")

    country, _, depot = days[0]
    towns = [town for town in country.towns if town != depot][:5]
    legs = _legs(country, [depot, *towns])
    free = [Order(town, MORNING, EVENING) for town in towns]
    best = _cheapest(depot, MORNING, frozenset(free), legs)
    cost = _judged(plan(depot, list(free), legs), depot, free, legs)
    _cheap_enough(cost, best, "a day on which all customers are open all day")

    far = [Order(town, MORNING, MORNING + 5) for town in towns[:2]]
    got = plan(depot, far, legs)
    assert got is None, (
        "two customers far apart both close at 8:05, so there is no plan and None is wanted; plan "
        f"returned {_short(got)}"
    )
    print(f"ok: the cheapest plan on {len(days) + 1} unseen days, None on an impossible one")


def check_take_order(take_order, ask) -> None:
    """`take_order(sentence, towns, ask)`: right on scripted calls, then on a model's, by `ask`."""
    towns = ("Kelso", "Farrow", "Oakham")
    full = {"origin": "Oakham", "destination": "Kelso", "arrive_by": "11:15", "avoid_tolls": True}
    for call, said, wanted in (
        (full, "to Kelso, no tolls", Order("Kelso", MORNING, 675, tolls=False)),
        ({**full, "arrive_by": "4 pm"}, "no tolls", Order("Kelso", MORNING, 960, tolls=False)),
        (
            {**full, "avoid_tolls": False},
            "tolls are fine",
            Order("Kelso", MORNING, 675, tolls=True),
        ),
        ({"origin": "Kelso", "destination": "Farrow"}, "go", Order("Farrow", MORNING, EVENING)),
        (full, "to Kelso by 11:15", Order("Kelso", MORNING, 675, tolls=True)),
    ):
        sentences = []
        got = take_order(said, towns, _script(call, sentences))
        assert got is not None, "take_order returned None. Does it end with `return`?"
        assert sentences == [said], "call ask(sentence) once: it is the model that reads"
        assert got == wanted, (
            f"the sentence was {said!r} and the model's call {call}: got {got!r}, wanted {wanted!r}"
        )
    for call, what in (
        ({}, "the model made no call"),
        ({"origin": "Oakham", "arrive_by": "11:15"}, "the call has no destination"),
        ({**full, "destination": "Atlantis"}, "the destination is no town of this country"),
        ({**full, "arrive_by": "soon"}, "'soon' is no time of day"),
    ):
        try:
            got = take_order("a sentence", towns, _script(call, []))
        except ValueError:
            continue
        except (AttributeError, KeyError, TypeError) as error:
            raise AssertionError(
                f"{what}: take_order raised {type(error).__name__}. Look before you use it, and "
                "raise ValueError with a text that says what was not understood"
            ) from error
        raise AssertionError(
            f"{what}: take_order returned {got!r}. A van must not be sent out on a guess: raise "
            "ValueError with a text that says what was not understood"
        )
    right = sum(_taken(take_order, *case, ask) for case in SENTENCES)
    assert right >= ENOUGH * len(SENTENCES), (
        f"scripted calls became the right orders, but of {len(SENTENCES)} unseen sentences read by "
        f"the model only {right} did, wanted {ENOUGH:.0%}. Give ask the sentence as it is"
    )
    print(f"ok: nine scripted calls, and at least {ENOUGH:.0%} of the model's own")


_TOWNS = ("Marwick", "Glenholm", "Dunmere", "Inverby", "Hartwell")
SENTENCES = (  # with the order each means
    (
        "Please drive this from Hartwell to Marwick, it has to arrive by 9:45.",
        Order("Marwick", MORNING, 585),
    ),
    (
        "From Hartwell to Glenholm by 2 pm, avoiding tolls.",
        Order("Glenholm", MORNING, 840, tolls=False),
    ),
    ("A route from Hartwell to Dunmere, please.", Order("Dunmere", MORNING, EVENING)),
    (
        "Hartwell to Inverby without toll roads.",
        Order("Inverby", MORNING, EVENING, tolls=False),
    ),
    (
        "Take the crates from Hartwell to Dunmere before noon.",
        Order("Dunmere", MORNING, 720),
    ),
    (
        "I need a way from Hartwell to Marwick without tolls, arriving by 15:30.",
        Order("Marwick", MORNING, 930, tolls=False),
    ),
    ("How do I drive from Hartwell to Glenholm?", Order("Glenholm", MORNING, EVENING)),
    (
        "Start in Hartwell, be in Inverby at 10:20 at the latest.",
        Order("Inverby", MORNING, 620),
    ),
)


# ---- what the checks share


def _ways(country, origin, tolls):
    frontier, reached = [(0.0, 0.0, origin)], {}
    while frontier:
        minutes, toll, here = heapq.heappop(frontier)
        if here not in reached:
            reached[here] = minutes, toll
            for road in country.roads_from(here):
                if tolls or road.toll == 0:
                    heapq.heappush(frontier, (minutes + road.minutes, toll + road.toll, road.to))
    return {town: reached[town] for town in country.towns}


def _legs(country, towns):
    table = {(a, tolls): _ways(country, a, tolls) for a in towns for tolls in (True, False)}
    return {(a, b, tolls): ways[b] for (a, tolls), ways in table.items() for b in towns}


def _same_way(call, town, got, minutes, toll, tolls):
    assert isinstance(got, tuple) and len(got) == 2, (
        f'{call}["{town}"] is {got!r}, wanted a pair (minutes, toll in €)'
    )
    found = f'{call}["{town}"]: {got[0]:.1f} min and {got[1]:.2f} € of toll'
    assert tolls or got[1] < 1e-6, (
        f"{found}. With tolls=False no road may be used whose road.toll is above 0"
    )
    assert got[0] > minutes - 1e-6, (
        f"{found}, but nobody can be there in less than {minutes:.1f} min. Add up road.minutes, "
        "and with tolls=False leave the motorways out"
    )
    assert got[0] < minutes + 1e-6, (
        f"{found}, but the fastest way takes {minutes:.1f} min. Always go on from the place with "
        "the fewest minutes so far, and note a place as reached when it is popped, not when it is "
        "pushed"
    )
    assert abs(got[1] - toll) < 1e-6, (
        f"{found}, wanted {toll:.2f} €: the sum of road.toll along the fastest way"
    )


def _time(minutes):
    return "None" if minutes is None else f"{minutes:g} ({clock(minutes)})"


def _listed(moves, state, legs):
    got = moves(state, legs)
    assert got is not None, "moves returned None. Yield each move, or return a list of all"
    got = list(got)
    assert all(isinstance(move, tuple) and len(move) == 3 for move in got), (
        f"a move is a triple (action, cost, after), and moves gave {_short(got)}"
    )
    return got


def _same_move(action, cost, after, wanted_cost, wanted_after):
    order, tolls = action
    what = f"to {order.to} {'with' if tolls else 'without'} tolls"
    assert tuple(after) == wanted_after, (
        f"{what}: the state after it is {_state(after)}, wanted {_state(wanted_after)}. It is the "
        "order's town, the time the van can leave again, and what is left without this order"
    )
    assert abs(cost - wanted_cost) < 1e-6, (
        f"{what}: the cost is {cost:.2f} €, wanted {wanted_cost:.2f} €. The wage counts for all "
        "minutes from the state's time until the van can leave again (driving, waiting, "
        "unloading), and the toll of the leg is added"
    )


def _state(state):
    place, now, left = state
    return f"({place}, {_time(now)}, {len(left)} left)"


def _cheapest(here, now, left, legs):
    """Cost of the cheapest way to deliver what is left, None when there is none: tries all."""
    if not left:
        return 0.0
    found = []
    for order in left:
        for tolls in {False, order.tolls}:
            minutes, toll = legs[here, order.to, tolls]
            if now + minutes <= order.closes:
                done = max(now + minutes, order.opens) + UNLOADING_MIN
                rest = _cheapest(order.to, done, left - {order}, legs)
                if rest is not None:
                    found.append(WAGE_EUR_MIN * (done - now) + toll + rest)
    return min(found, default=None)


def _replayed(actions, here, legs):
    """Cost of a plan, and None; or None, and where it comes too late."""
    now, cost = MORNING, 0.0
    for order, tolls in actions:
        minutes, toll = legs[here, order.to, tolls]
        if now + minutes > order.closes:
            return None, (order, now + minutes)
        done = max(now + minutes, order.opens) + UNLOADING_MIN
        cost += WAGE_EUR_MIN * (done - now) + toll
        here, now = order.to, done
    return cost, None


def _judged(actions, depot, orders, legs):
    assert actions is not None, (
        "plan returned None on a day that can be done. Does it end with `return`? Does the search "
        "begin with (depot, MORNING, frozenset(orders))?"
    )
    shaped = isinstance(actions, list) and all(
        isinstance(a, tuple) and len(a) == 2 and isinstance(a[0], Order) for a in actions
    )
    assert shaped, f"wanted a list of pairs (order, tolls), and plan returned {_short(actions)}"
    told = [order for order, _ in actions]
    assert len(told) == len(set(told)) and set(told) == set(orders), (
        f"the plan delivers {len(set(told))} of {len(orders)} orders, in {len(told)} actions. A "
        "plan is finished when nothing is left, and delivers each order once"
    )
    for order, tolls in actions:
        assert order.tolls or not tolls, f"toll roads to {order.to}, whose order forbids it"
    cost, late = _replayed(actions, depot, legs)
    assert late is None, (
        f"the plan comes to {late[0].to} at {clock(late[1])}, when it has closed at "
        f"{clock(late[0].closes)}. Leave moves that come too late out of the search"
    )
    return cost


def _cheap_enough(cost, best, day):
    assert cost < best + 1e-6, (
        f"on {day} the plan costs {cost:.2f} €, and the cheapest {best:.2f} €. Always take the "
        "state with the smallest cost so far from the heap, try both kinds of roads, and stop when "
        "a state with nothing left is popped, not when it is pushed"
    )


def _script(call, sentences):
    def ask(sentence):
        sentences.append(sentence)
        return dict(call)

    return ask


def _taken(take_order, sentence, wanted, ask):
    try:
        return take_order(sentence, _TOWNS, ask) == wanted
    except ValueError:
        return False


def _short(value):
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
