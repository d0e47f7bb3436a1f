"""Typical wrong answers to lab 05, in the form of `lab01`."""

import inspect
import json

TYPES = {int: "integer", float: "number", bool: "boolean"}


# ---- describe


def describe(function, types=TYPES, required_all=False, whole_docstring=False):
    arguments = inspect.signature(function).parameters.values()
    doc = inspect.getdoc(function)
    parameters = {
        "type": "object",
        "properties": {a.name: {"type": types.get(a.annotation, "string")} for a in arguments},
        "required": [a.name for a in arguments if required_all or a.default is a.empty],
    }
    summary = doc if whole_docstring else doc.splitlines()[0]
    described = {"name": function.__name__, "description": summary, "parameters": parameters}
    return {"type": "function", "function": described}


def describe_without_return(function):
    describe(function)


def describe_all_strings(function):
    return describe(function, types={})


def describe_all_required(function):
    return describe(function, required_all=True)


def describe_whole_docstring(function):
    return describe(function, whole_docstring=True)


def describe_inner_part_only(function):
    return describe(function)["function"]


# ---- act


def act(functions, name, arguments):
    if name not in functions:
        return {"error": "no such tool"}
    try:
        given = json.loads(arguments)
        inspect.signature(functions[name]).bind(**given)
    except (ValueError, TypeError) as error:
        return {"error": str(error)}
    return functions[name](**given)


def act_without_care(functions, name, arguments):
    return functions[name](**json.loads(arguments))


def act_hides_bugs(functions, name, arguments):
    try:
        return functions[name](**json.loads(arguments))
    except Exception as error:
        return {"error": repr(error)}


def act_hides_type_errors(functions, name, arguments):
    if name not in functions:
        return {"error": "no such tool"}
    try:
        return functions[name](**json.loads(arguments))
    except (ValueError, TypeError) as error:
        return {"error": str(error)}


def act_takes_a_list_for_an_object(functions, name, arguments):
    if name not in functions:
        return {"error": "no such tool"}
    try:
        given = json.loads(arguments)
    except ValueError:
        return {"error": "no JSON"}
    return functions[name](**{key: value for key, value in given.items()})  # noqa: C416


def act_without_return(functions, name, arguments):
    act(functions, name, arguments)


def act_drops_unknown(functions, name, arguments):
    if name not in functions:
        return None
    return act(functions, name, arguments)


# ---- run


def run(task, think, functions, max_steps=5, first_call_only=False, ids=True, own_messages=True):
    messages = [{"role": "user", "content": task}]
    for _ in range(max_steps):
        message = think(messages)
        if own_messages:
            messages.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            return message.content, messages
        for call in message.tool_calls[: 1 if first_call_only else None]:
            content = json.dumps(act(functions, call.function.name, call.function.arguments))
            number = call.id if ids else "call"
            messages.append({"role": "tool", "tool_call_id": number, "content": content})
    return "I gave up", messages


def run_first_call_only(*args):
    return run(*args, first_call_only=True)


def run_same_id_for_all(*args):
    return run(*args, ids=False)


def run_forgets_its_own_messages(*args):
    return run(*args, own_messages=False)


def run_answer_only(*args):
    return run(*args)[0]


def run_one_step_more(task, think, functions, max_steps=5):
    return run(task, think, functions, max_steps + 1)


def run_does_not_stop(task, think, functions, max_steps=5):
    messages = [{"role": "user", "content": task}]
    for _ in range(max_steps):
        message = think(messages)
        messages.append(message)
        for call in message.tool_calls or []:
            content = json.dumps(act(functions, call.function.name, call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
    return message.content, messages


def run_pretends(*args):
    answer, messages = run(*args)
    return answer.replace("I gave up", "Done"), messages


# ---- errands: no model is needed to do these wrong


def errands_does_nothing(shop, client, model):
    return dict.fromkeys(shop.orders, "all is well")


def errands_a_list(shop, client, model):
    return list(shop.orders)


def errands_looks_only(shop, client, model):
    return {order_id: shop.lookup_order_status(order_id)["status"] for order_id in shop.orders}


def errands_tickets_for_all(shop, client, model):
    for order_id in shop.orders:
        shop.lookup_order_status(order_id)
        shop.create_support_ticket(f"order {order_id} is late", "high")
    return dict.fromkeys(shop.orders, "ticket opened")


def errands_low_priority(shop, client, model):
    for order_id in shop.orders:
        if shop.lookup_order_status(order_id)["status"] in {"late", "delayed", "lost"}:
            shop.create_support_ticket(f"order {order_id} is late", "low")
    return dict.fromkeys(shop.orders, "seen to")


WRONG = {
    "check_describe": [
        (describe_without_return, "return"),
        (describe_all_strings, "annotation"),
        (describe_all_required, "default"),
        (describe_whole_docstring, "first line"),
        (describe_inner_part_only, '"type": "function"'),
    ],
    "check_act": [
        (act_without_care, "KeyError"),
        (act_hides_bugs, "a bug of ours was hidden"),
        (act_hides_type_errors, "outside of `try`"),
        (act_takes_a_list_for_an_object, "AttributeError"),
        (act_without_return, "Return what the function returns"),
        (act_drops_unknown, "a tool that does not exist"),
    ],
    "check_run": [
        (run_first_call_only, "more than one call"),
        (run_same_id_for_all, "tool_call_id"),
        (run_forgets_its_own_messages, "own messages are missing"),
        (run_answer_only, "two things"),
        (run_does_not_stop, "was asked again"),
        (run_one_step_more, "max_steps=4"),
        (run_pretends, "begin with 'I gave up'"),
    ],
    "check_errands": [
        (errands_does_nothing, None, "none", "no order was looked up"),
        (errands_a_list, None, "none", "for every order"),
        (errands_looks_only, None, "none", "no ticket was opened"),
        (errands_tickets_for_all, None, "none", "were seen to rightly"),
        (errands_low_priority, None, "none", "name the priority"),
    ],
}
