"""Typical wrong answers to lab 05, in the form of `lab01`."""

import inspect
import json
from types import SimpleNamespace

from openai.types.chat import ChatCompletionMessage

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


def readable(message):
    content = message.model_dump(exclude_none=True)
    for call in content.get("tool_calls", []):
        try:
            json.loads(call["function"]["arguments"])
        except ValueError:
            call["function"]["arguments"] = "{}"
    return content


def run(
    task,
    think,
    functions,
    max_steps=5,
    first_call_only=False,
    ids=True,
    own_messages=True,
    entry=readable,
):
    messages = [{"role": "user", "content": task}]
    for _ in range(max_steps):
        message = think(messages)
        if own_messages:
            messages.append(entry(message))
        if not message.tool_calls:
            return message.content, messages
        for call in message.tool_calls[: 1 if first_call_only else None]:
            content = json.dumps(act(functions, call.function.name, call.function.arguments))
            number = call.id if ids else "call"
            messages.append({"role": "tool", "tool_call_id": number, "content": content})
    done = [call["function"]["name"] for m in messages for call in m.get("tool_calls", [])]
    return f"I gave up after {', '.join(done)}", messages


def run_first_call_only(*args):
    return run(*args, first_call_only=True)


def run_same_id_for_all(*args):
    return run(*args, ids=False)


def run_forgets_its_own_messages(*args):
    return run(*args, own_messages=False)


def run_sends_back_what_was_cut_off(*args):
    return run(*args, entry=lambda message: message.model_dump(exclude_none=True))


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


def run_does_not_say_what_it_did(*args):
    answer, messages = run(*args)
    return answer.partition(" after")[0], messages


# ---- errands: a script in place of a model is enough to do these wrong


def client(content="I did it."):
    """Answers in words whatever it is asked."""
    message = ChatCompletionMessage(role="assistant", content=content)
    reply = SimpleNamespace(choices=[SimpleNamespace(message=message)])
    create = SimpleNamespace(create=lambda **options: reply)
    return SimpleNamespace(chat=SimpleNamespace(completions=create))


def ask(client, errand):
    message = {"role": "user", "content": errand.text}
    return client.chat.completions.create(messages=[message]).choices[0].message.content


def errands_believes_the_model(company, errands, client, model, max_steps):
    return {errand.about: ask(client, errand) for errand in errands}


def errands_a_list(company, errands, client, model, max_steps):
    return [ask(client, errand) for errand in errands]


def errands_without_the_model(company, errands, client, model, max_steps):
    return {errand.about: str(company.lookup_order_status(errand.about)) for errand in errands}


def errands_tickets_for_all(company, errands, client, model, max_steps):
    for errand in errands:
        company.create_support_ticket(errand.about, "high")
    return {errand.about: ask(client, errand) for errand in errands}


def errands_steps_without_end(company, errands, client, model, max_steps):
    for errand in errands:
        answers = [ask(client, errand) for _ in range(max_steps + 1)]
    company.create_support_ticket(errand.about, "high")
    return {errand.about: answers[-1] for errand in errands}


def carry_out(company, errand):
    """Do what the errand asks for, without any model."""
    tool = {
        "tickets": company.create_support_ticket,
        "callbacks": company.schedule_callback,
        "escalations": company.escalate_to_human,
        "refunds": company.refund_order,
        "quotes": company.create_price_quote,
        "approvals": company.approve_invoice,
    }
    for table, row in errand.wanted:
        tool[table](**({"reason": "lost"} if table == "refunds" else {}) | row)


def errands_ignores_the_budget(company, errands, client, model, max_steps):
    for errand in errands:
        ask(client, errand)
        carry_out(company, errand)
    return {errand.about: "done" for errand in errands}


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
        (run_sends_back_what_was_cut_off, "put readable(message)"),
        (run_does_not_stop, "was asked again"),
        (run_one_step_more, "max_steps=4"),
        (run_pretends, "begin with 'I gave up'"),
        (run_does_not_say_what_it_did, "what was done"),
    ],
    "check_errands": [
        (errands_a_list, client(), "none", "for every errand"),
        (errands_without_the_model, client(), "none", "a run of its own"),
        (errands_believes_the_model, client(), "none", "nothing was done in the database"),
        (errands_tickets_for_all, client(), "none", "the tools of its desk only"),
        (errands_steps_without_end, client(), "none", "Hand max_steps on"),
        (errands_ignores_the_budget, client(), "none", "in a single step"),
    ],
}
