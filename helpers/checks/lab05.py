"""Checks of lab 05, the agent's loop: models that misbehave on purpose, unseen companies."""

import json
from types import SimpleNamespace

from helpers.company import Company
from helpers.worlds import errands as world

SEEDS = (5101, 5102)  # companies the notebook does not show
ENOUGH = 0.75  # share of the errands that must end as wanted: the model is a small one
STEPS = 4


def check_describe(describe) -> None:
    """`describe(function)` makes an OpenAI tool from name, docstring and signature."""

    def move_meeting(meeting_id: str, day: int, hours: float = 1.0, online: bool = False):
        """Move a meeting.

        The second line is for programmers.
        """

    made = describe(move_meeting)
    assert made is not None, "describe returned None. Does it end with `return`?"
    assert isinstance(made, dict) and made.get("type") == "function" and "function" in made, (
        f'a tool is {{"type": "function", "function": {{...}}}}, and describe returned {made!r}'
    )
    function = made["function"]
    assert function.get("name") == "move_meeting", "the name is function.__name__"
    assert function.get("description") == "Move a meeting.", (
        f"the description is {function.get('description')!r}, wanted the docstring's first line, "
        "'Move a meeting.'"
    )
    properties = function.get("parameters", {}).get("properties", {})
    types = {name: schema.get("type") for name, schema in properties.items()}
    wanted = {"meeting_id": "string", "day": "integer", "hours": "number", "online": "boolean"}
    assert types == wanted, (
        f"the types of the arguments are {types}, wanted {wanted}. Look at each parameter's "
        "annotation, and keep the order"
    )
    assert function["parameters"].get("type") == "object", 'parameters need "type": "object"'
    required = function["parameters"].get("required")
    assert required == ["meeting_id", "day"], (
        f"required is {required}, wanted ['meeting_id', 'day']: an argument with a default is not "
        "required"
    )
    json.dumps(made)
    print("ok: name, first line, four types, and only what has no default is required")


def check_act(act) -> None:
    """`act(functions, name, arguments)` calls, or says what was wrong with the wish."""
    calls = []

    def add_task(title: str, due: str = "today"):
        calls.append((title, due))
        return {"task_id": len(calls)}

    def broken(kind: str):
        raise {"key": KeyError, "type": TypeError, "value": ValueError}[kind]("a bug of ours")

    functions = {"add_task": add_task, "broken": broken}
    got = act(functions, "add_task", '{"title": "call Ada"}')
    assert got is not None, "act returned None for a good call. Return what the function returns"
    assert got == {"task_id": 1} and calls == [("call Ada", "today")], (
        f"a good call returned {got!r} and the function saw {calls!r}. Parse the arguments with "
        "json.loads and pass them with **"
    )
    for name, arguments, what in (
        ("delete_everything", "{}", "a tool that does not exist"),
        ("add_task", "{title: call Ada}", "arguments that are not JSON"),
        ("add_task", '["call Ada"]', "arguments that are a list"),
        ("add_task", '{"text": "call Ada"}', "an argument the function does not have"),
        ("add_task", "{}", "a required argument that is missing"),
    ):
        try:
            got = act(functions, name, arguments)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise AssertionError(
                f"{what}: act raised {type(error).__name__}. The model must get the error as a "
                "result, so that it can do better: return {'error': ...}"
            ) from error
        assert isinstance(got, dict) and got.get("error"), (
            f"{what}: act returned {got!r}, wanted {{'error': ...}}"
        )
    assert len(calls) == 1, "a bad wish was carried out all the same. Check before you call"
    for kind in ("key", "type", "value"):
        try:
            got = act(functions, "broken", json.dumps({"kind": kind}))
        except (KeyError, TypeError, ValueError):
            continue
        raise AssertionError(
            f"an error inside the tool came back as {got!r}: a bug of ours was hidden. Catch what "
            "json.loads and the binding of the arguments raise, and call the tool outside of `try`"
        )
    print("ok: one good call, five bad wishes answered, and a bug of our own not hidden")


def check_run(run) -> None:
    """`run(task, think, functions, max_steps)`, with models that are scripted to be difficult."""
    notes = []

    def take_note(text: str):
        """Write a note."""
        notes.append(text)
        return {"notes": len(notes)}

    functions = {"take_note": take_note}
    model = _Scripted([_say("Good morning.")])
    got = run("Hello", model, functions, 5)
    assert isinstance(got, tuple) and len(got) == 2, (
        f"run returned {got!r}, wanted two things: the answer and the list of messages"
    )
    assert got[0] == "Good morning.", f"the model said 'Good morning.', run returned {got[0]!r}"
    assert model.seen[0][0] == {"role": "user", "content": "Hello"}, (
        "the first message the model reads must be the task, as the user's"
    )

    model = _Scripted([_wish("a"), _wish("b", "c"), _say("Done.")])
    answer, _ = run("Three notes", model, functions, 5)
    assert notes == ["a", "b", "c"], (
        f"the model wished for notes a, b and c, the world has {notes}. A message can hold more "
        "than one call: act on each of them, once"
    )
    assert answer == "Done.", f"the answer is {answer!r}, wanted the model's last words, 'Done.'"
    asked = [c["id"] for m in model.seen[-1] for c in m.get("tool_calls") or []]
    told = [m.get("tool_call_id") for m in model.seen[-1] if m["role"] == "tool"]
    assert asked, "the model's own messages are missing from the list: append them, calls included"
    assert told == asked, (
        f"the calls had the ids {asked}, the results {told}. Each call gets one message with the "
        "role 'tool' and its tool_call_id"
    )
    results = [m["content"] for m in model.seen[-1] if m["role"] == "tool"]
    assert all(isinstance(content, str) for content in results), "a result is text: json.dumps"
    assert [json.loads(content) for content in results] == [{"notes": n} for n in (1, 2, 3)], (
        f"the results the model read are {results}: pass on what act returned"
    )

    model = _Scripted([_cut_off('{"text": "to be contin'), _say("Sorry.")])
    run("A note", model, functions, 5)
    given = [c["function"]["arguments"] for m in model.seen[-1] for c in m.get("tool_calls") or []]
    assert given == ["{}"], (
        f"a call was cut off and went back to the model as {given}. A server refuses that: put "
        "readable(message) into the list"
    )
    told = [m["content"] for m in model.seen[-1] if m["role"] == "tool"]
    assert len(told) == 1 and "error" in told[0], (
        f"a call was cut off, and as its result the model read {told}. Act on what the model "
        "wrote, so that it is told what was wrong"
    )

    model = _Scripted([_wish("again")] * 50)
    answer, _ = run("For ever", model, functions, 4)
    assert len(model.seen) == 4, (
        f"a model that never stops was asked {len(model.seen)} times with max_steps=4. Count the "
        "calls of the model"
    )
    assert isinstance(answer, str) and answer.startswith("I gave up"), (
        f"out of steps, the answer was {answer!r}. Say so: it must begin with 'I gave up'"
    )
    assert answer.count("take_note") == 4, (
        f"out of steps, the answer was {answer!r}. Whoever takes over must know what was "
        "done: name every call that was made, in their order (here take_note, four times)"
    )
    print("ok: an answer, three calls in two steps, and an end to one that would not stop")


def check_errands(do_errands, client, model: str) -> None:
    """`do_errands(company, errands, client, model, max_steps)` leaves the database as wanted."""
    done = total = 0
    for seed in SEEDS:
        with Company(seed) as company:
            given = world.errands(company, seed)
            counted = _Counted(client)
            answers = do_errands(company, given, counted, model, STEPS)
            assert isinstance(answers, dict) and set(answers) == {one.about for one in given}, (
                "return a dictionary with an answer for every errand, under its `about`"
            )
            assert counted.asked >= len(given), (
                f"the model was asked {counted.asked} times about {len(given)} errands. Each is "
                "a run of its own, of the client and the model that were handed in"
            )
            assert counted.asked <= STEPS * len(given), (
                f"the model was asked {counted.asked} times about {len(given)} errands with "
                f"max_steps={STEPS}. Hand max_steps on to `run`"
            )
            assert any(company.deeds().values()), (
                "nothing was done in the database. The tools must be methods of this very company, "
                "found by the names in DESKS[errand.desk]"
            )
            done += sum(one.is_done(company) for one in given)
            total += len(given)
    assert done >= ENOUGH * total, (
        f"{done} of {total} errands in unseen companies ended as wanted, wanted {ENOUGH:.0%}. Give "
        "the model the errand's text as it is, and the tools of its desk only"
    )
    with Company(SEEDS[0]) as company:
        given = world.errands(company, SEEDS[0])[:6]
        answers = do_errands(company, given, client, model, 1)
    assert all(str(answer).startswith("I gave up") for answer in answers.values()), (
        "no errand can be done in a single step, and with max_steps=1 an answer was "
        f"{next(a for a in answers.values() if not str(a).startswith('I gave up'))!r}. Hand "
        "max_steps on to `run`, and return its answer as it is"
    )
    print(f"ok: at least {ENOUGH:.0%} of the errands ended as wanted; with one step, none was done")


# ---- what the checks share


class _Counted:
    """A client that counts the chat completions it is asked for."""

    def __init__(self, client):
        self._create, self.asked = client.chat.completions.create, 0
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self._ask))

    def _ask(self, **options):
        self.asked += 1
        return self._create(**options)


class _Scripted:
    """A model that says its lines in turn and keeps what it was shown."""

    def __init__(self, lines: list):
        self.lines, self.seen = iter(lines), []

    def __call__(self, messages, *_, **__):
        self.seen.append([_as_dict(message) for message in messages])
        try:
            return next(self.lines)
        except StopIteration:
            raise AssertionError(
                "the model had answered in words and was asked again. A message without tool calls "
                "is the answer: return it"
            ) from None


def _as_dict(message) -> dict:
    """The OpenAI client takes its own message objects as well as dictionaries."""
    return dict(message) if isinstance(message, dict) else message.model_dump(exclude_none=True)


def _say(text: str):
    from openai.types.chat import ChatCompletionMessage

    return ChatCompletionMessage(role="assistant", content=text)


_ids = iter(range(1, 1_000_000))


def _wish(*texts: str):
    return _cut_off(*(json.dumps({"text": text}) for text in texts))


def _cut_off(*arguments: str):
    """Calls with arguments as the model wrote them, to their end or not."""
    from openai.types.chat import ChatCompletionMessage

    calls = [
        {
            "id": f"call_{next(_ids)}",
            "type": "function",
            "function": {"name": "take_note", "arguments": text},
        }
        for text in arguments
    ]
    return ChatCompletionMessage.model_validate({"role": "assistant", "tool_calls": calls})
