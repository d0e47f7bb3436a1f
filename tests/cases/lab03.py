"""Typical wrong answers to lab 03. Of a case, the last entry is a word of the message to expect;
the others are the arguments of the check, the learner's answer first."""

import heapq
import itertools

from helpers.worlds.routes import (
    EVENING,
    MORNING,
    UNLOADING_MIN,
    WAGE_EUR_MIN,
    Order,
    read_time,
)


def ways(country, origin, tolls=True, weight=lambda road: road.minutes, allowed=None):
    """Right, unless another weight or another rule for roads is given."""
    allowed = allowed or (lambda road: tolls or road.toll == 0)
    frontier, reached = [(0.0, origin, 0.0, 0.0)], {}
    while frontier:
        cost, here, minutes, toll = heapq.heappop(frontier)
        if here not in reached:
            reached[here] = minutes, toll
            for road in filter(allowed, country.roads_from(here)):
                then = minutes + road.minutes, toll + road.toll
                heapq.heappush(frontier, (cost + weight(road), road.to, *then))
    return {town: reached[town] for town in country.towns}


def ways_by_km(country, origin, tolls=True):
    return ways(country, origin, tolls, weight=lambda road: road.km)


def ways_by_roads(country, origin, tolls=True):
    return ways(country, origin, tolls, weight=lambda road: 1)


def ways_with_tolls(country, origin, tolls=True):
    return ways(country, origin)


def ways_never_tolls(country, origin, tolls=True):
    return ways(country, origin, tolls=False)


def ways_minutes_only(country, origin, tolls=True):
    return {town: minutes for town, (minutes, _) in ways(country, origin, tolls).items()}


def ways_all_places(country, origin, tolls=True):
    return {**ways(country, origin, tolls), "17": (1.0, 0.0)}


def ways_without_return(country, origin, tolls=True):
    ways(country, origin, tolls)


def ways_noted_when_pushed(country, origin, tolls=True):
    frontier, reached = [(0.0, 0.0, origin)], {origin: (0.0, 0.0)}
    while frontier:
        minutes, toll, here = heapq.heappop(frontier)
        for road in country.roads_from(here):
            if road.to not in reached and (tolls or road.toll == 0):
                reached[road.to] = minutes + road.minutes, toll + road.toll
                heapq.heappush(frontier, (*reached[road.to], road.to))
    return {town: reached[town] for town in country.towns}


def deliver(order, arrival):
    return None if arrival > order.closes else max(arrival, order.opens) + UNLOADING_MIN


def deliver_does_not_wait(order, arrival):
    return None if arrival > order.closes else arrival + UNLOADING_MIN


def deliver_does_not_unload(order, arrival):
    return None if arrival > order.closes else max(arrival, order.opens)


def deliver_strict(order, arrival):
    return None if arrival >= order.closes else max(arrival, order.opens) + UNLOADING_MIN


def deliver_must_finish(order, arrival):
    done = max(arrival, order.opens) + UNLOADING_MIN
    return None if done > order.closes else done


def deliver_always(order, arrival):
    return max(arrival, order.opens) + UNLOADING_MIN


def deliver_says_false(order, arrival):
    return arrival <= order.closes and max(arrival, order.opens) + UNLOADING_MIN


def moves(state, legs):
    here, now, left = state
    for order in left:
        for tolls in (True, False) if order.tolls else (False,):
            minutes, toll = legs[here, order.to, tolls]
            done = deliver(order, now + minutes)
            if done is not None:
                cost = WAGE_EUR_MIN * (done - now) + toll
                yield (order, tolls), cost, (order.to, done, left - {order})


def moves_one_way_each(state, legs):
    return [move for move in moves(state, legs) if move[0][0].tolls == move[0][1]]


def moves_tolls_for_all(state, legs):
    here, now, left = state
    free = frozenset(Order(order.to, order.opens, order.closes) for order in left)
    back = {order.to: order for order in left}
    for (order, tolls), cost, (place, done, rest) in moves((here, now, free), legs):
        kept = frozenset(back[other.to] for other in rest)
        yield (back[order.to], tolls), cost, (place, done, kept)


def moves_too_late(state, legs):
    here, now, left = state
    for order in left:
        for tolls in (True, False) if order.tolls else (False,):
            minutes, toll = legs[here, order.to, tolls]
            done = max(now + minutes, order.opens) + UNLOADING_MIN
            cost = WAGE_EUR_MIN * (done - now) + toll
            yield (order, tolls), cost, (order.to, done, left - {order})


def moves_wage_for_driving(state, legs):
    here, _, _ = state
    for (order, tolls), _, after in moves(state, legs):
        minutes, toll = legs[here, order.to, tolls]
        yield (order, tolls), WAGE_EUR_MIN * minutes + toll, after


def moves_without_toll_in_cost(state, legs):
    _, now, _ = state
    for action, _, after in moves(state, legs):
        yield action, WAGE_EUR_MIN * (after[1] - now), after


def moves_keep_all(state, legs):
    for action, cost, (place, now, _) in moves(state, legs):
        yield action, cost, (place, now, state[2])


def moves_first_only(state, legs):
    return list(moves(state, legs))[:1]


def moves_without_yield(state, legs):
    list(moves(state, legs))


def moves_from_the_depot(state, legs):
    return moves(("Depot", 480, state[2]), legs)


def searched(depot, orders, legs, moves=moves, cost_of=lambda cost: cost, when_pushed=False):
    """The right plan, unless other moves, another cost, or an early end is given."""
    ties = itertools.count()
    frontier = [(0.0, next(ties), (depot, MORNING, frozenset(orders)), [])]
    while frontier:
        cost, _, state, actions = heapq.heappop(frontier)
        if not state[2]:
            return actions
        for action, price, after in moves(state, legs):
            if when_pushed and not after[2]:
                return [*actions, action]
            entry = (cost + cost_of(price), next(ties), after, [*actions, action])
            heapq.heappush(frontier, entry)
    return None


def plan_tolls_where_allowed(depot, orders, legs):
    return searched(depot, orders, legs, moves=moves_one_way_each)


def plan_stops_when_pushed(depot, orders, legs):
    return searched(depot, orders, legs, cost_of=lambda cost: 0, when_pushed=True)


def plan_by_closing_time(depot, orders, legs):
    return [(order, order.tolls) for order in sorted(orders, key=lambda order: order.closes)]


def plan_nearest_first(depot, orders, legs):
    here, left, actions = depot, set(orders), []
    while left:
        nearest = min(left, key=lambda order: legs[here, order.to, order.tolls])
        actions.append((nearest, nearest.tolls))
        left.remove(nearest)
        here = nearest.to
    return actions


def plan_orders_only(depot, orders, legs):
    actions = searched(depot, orders, legs)
    return actions and [order for order, _ in actions]


def plan_part(depot, orders, legs):
    return searched(depot, orders, legs)[:-1]


def plan_never_none(depot, orders, legs):
    return searched(depot, orders, legs) or []


def plan_without_return(depot, orders, legs):
    searched(depot, orders, legs)


def plan_breaks_tolls(depot, orders, legs):
    return [(order, True) for order, _ in searched(depot, orders, legs)]


def take_order(sentence, towns, ask):
    call = ask(sentence)
    if call.get("destination") not in towns:
        raise ValueError("which town?")
    closes = read_time(call["arrive_by"]) if "arrive_by" in call else EVENING
    no_tolls = call.get("avoid_tolls", False) and "toll" in sentence
    return Order(call["destination"], MORNING, closes, not no_tolls)


def take_believes_the_model(sentence, towns, ask):
    order = take_order(f"{sentence} toll", towns, lambda _: ask(sentence))
    return Order(order.to, order.opens, order.closes, order.tolls)


def take_without_ask(sentence, towns, ask):
    return take_order(sentence, towns, lambda _: {"destination": "Kelso", "arrive_by": "11:15"})


def take_any_town(sentence, towns, ask):
    call = ask(sentence)
    return take_order(sentence, [call.get("destination", "?")], lambda _: call)


def take_asks_twice(sentence, towns, ask):
    ask(sentence)
    return take_order(sentence, towns, ask)


def take_tolls_reversed(sentence, towns, ask):
    order = take_order(sentence, towns, ask)
    return Order(order.to, order.opens, order.closes, not order.tolls)


def take_without_care(sentence, towns, ask):
    call = ask(sentence)
    closes = read_time(call.get("arrive_by", "18:00"))
    no_tolls = call.get("avoid_tolls", False) and "toll" in sentence
    return Order(call["destination"], MORNING, closes, not no_tolls)


def take_text_for_time(sentence, towns, ask):
    order = take_order(sentence, towns, ask)
    return Order(order.to, order.opens, ask(sentence).get("arrive_by"), order.tolls)


def take_without_return(sentence, towns, ask):
    take_order(sentence, towns, ask)


def take_none_for_unknown(sentence, towns, ask):
    call = ask(sentence)
    return take_order(sentence, towns, lambda _: call) if call.get("destination") in towns else None


WRONG = {
    "check_ways": [
        (ways_by_km, "the fastest way takes"),
        (ways_by_roads, "the fastest way takes"),
        (ways_with_tolls, "With tolls=False no road"),
        (ways_never_tolls, "the fastest way takes"),
        (ways_minutes_only, "a pair"),
        (ways_all_places, "junctions do not belong"),
        (ways_without_return, "return"),
        (ways_noted_when_pushed, "when it is popped"),
    ],
    "check_deliver": [
        (deliver_does_not_wait, "wait until the customer opens"),
        (deliver_does_not_unload, "unload for ten minutes"),
        (deliver_strict, "still in time"),
        (deliver_must_finish, "that is allowed"),
        (deliver_always, "too late, so None"),
        (deliver_says_false, "too late, so None"),
    ],
    "check_moves": [
        (moves_one_way_each, "yield both"),
        (moves_tolls_for_all, "has tolls=False"),
        (moves_too_late, "Where deliver returns None"),
        (moves_wage_for_driving, "(driving, waiting, unloading)"),
        (moves_without_toll_in_cost, "the toll of the leg is added"),
        (moves_keep_all, "without this order"),
        (moves_first_only, "wanted 4"),
        (moves_without_yield, "Yield each move"),
        (moves_from_the_depot, "from the state's time"),
    ],
    "check_plan": [
        (plan_tolls_where_allowed, "and the cheapest"),
        (plan_stops_when_pushed, "not when it is pushed"),
        (plan_by_closing_time, "when it has closed"),
        (plan_nearest_first, "when it has closed"),
        (plan_orders_only, "pairs"),
        (plan_part, "when nothing is left"),
        (plan_never_none, "None is wanted"),
        (plan_without_return, "return"),
        (plan_breaks_tolls, "forbids it"),
    ],
    "check_take_order": [
        (take_without_ask, None, "call ask(sentence) once"),
        (take_any_town, None, "on a guess"),
        (take_asks_twice, None, "call ask(sentence) once"),
        (take_tolls_reversed, None, "wanted Order"),
        (take_without_care, None, "KeyError"),
        (take_text_for_time, None, "call ask(sentence) once"),
        (take_believes_the_model, None, "'to Kelso by 11:15'"),
        (take_without_return, None, "return"),
        (take_none_for_unknown, None, "on a guess"),
    ],
}
