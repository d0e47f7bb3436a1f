"""Checks of lab 09, a tool taught: the pieces of a training, and the file that comes out of it."""

import json
import random
import re
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from helpers import backends, model

LIMIT = 0.33  # share of the unseen requests that the shipped model must call for exactly
KEPT = 0.7  # share of the old requests it got right before that must still be right


def check_example(example) -> None:
    """`example(rng, patterns, others)` draws (messages, tools) with nothing but `rng`."""
    others = [_tool(f"tool_{n}", "Do something.", a="string") for n in range(9)]
    patterns = [
        "Turn the {camera} camera to {degrees} degrees.",
        "Have {camera} look at {degrees} degrees.",
        "{degrees} degrees on {camera}",
        "Swing {camera} round to {degrees}.",
        "The {camera} camera, {degrees} degrees.",
    ]
    states = random.getstate(), np.random.get_state()[1].tolist()
    drawn = [_tuple(example(random.Random(9100 + n), patterns, others)) for n in range(400)]
    again = [_tuple(example(random.Random(9100 + n), patterns, others)) for n in range(20)]
    assert drawn[:20] == again and states == (
        random.getstate(),
        np.random.get_state()[1].tolist(),
    ), (
        "the same seed gave two different examples. Draw everything from the argument `rng`: "
        "rng.choice, rng.randint, rng.sample, and camera_name(rng)"
    )
    seen, cameras, figures, counts, places = Counter(), set(), set(), Counter(), Counter()
    for messages, tools in drawn:
        said, arguments = _one_call(messages)
        assert list(arguments) == ["camera", "degrees"], (
            f"the arguments are {list(arguments)}, wanted camera and degrees in that order, the "
            "tool's own: the model learns one order, and a call is easier to check"
        )
        assert type(arguments["degrees"]) is int, (
            f"degrees is {arguments['degrees']!r}: the tool wants an integer, not text"
        )
        assert said in {pattern.format(**arguments) for pattern in patterns}, (
            f"{said!r} was asked and {arguments} called. The request is a pattern with the very "
            "camera and degrees of the call: draw each value once, and use it in both"
        )
        names = [tool["function"]["name"] for tool in tools]
        assert names.count("turn_camera") == 1, (
            f"the tools shown are {names}: turn_camera must be among them, once"
        )
        assert len(set(names)) == len(names), f"a tool is shown twice: {names}. See rng.sample"
        seen[_pattern(said, arguments)] += 1
        cameras.add(arguments["camera"])
        figures.add(arguments["degrees"])
        counts[len(names) - 1] += 1
        places[names.index("turn_camera") == 0, len(names) > 1] += 1
    assert len(seen) == len(patterns), (
        f"only {len(seen)} of {len(patterns)} patterns occur in 400 examples: rng.choice(patterns)"
    )
    assert len(cameras) > 40, (
        f"only {len(cameras)} cameras in 400 examples. A model shown a few names learns the names: "
        "take camera_name(rng)"
    )
    assert len(figures) > 60, (
        f"only {len(figures)} different figures for degrees: rng.randint(1, 180)"
    )
    assert set(counts) == {0, 1, 2, 3}, (
        f"the numbers of other tools shown are {sorted(counts)}, wanted none to three, each often"
    )
    assert places[True, True] and places[False, True], (
        "turn_camera always stands at the same place among the tools. The model would learn to "
        "take that place: shuffle them, rng.sample(tools, len(tools))"
    )
    print("ok: 400 examples, every pattern, many cameras and figures, the tool at any place")


def check_labels(labels) -> None:
    """`labels(ids, start, role, end)`: each token that the assistant says, -100 for the rest."""
    start, end, role = 1, 2, [7, 8]
    user, tool = [5, 8], [6, 8]
    cases = [
        ("a request and a call", [(user, [11, 12]), (role, [21, 22, 23])]),
        ("two turns that it says", [(user, [11]), (role, [21, 22]), (tool, [31]), (role, [23])]),
        ("a user who writes the word assistant", [(user, [7, 8, 11]), (role, [21])]),
        ("no turn of the assistant", [(user, [11, 12, 13])]),
        ("an assistant who writes the word assistant", [(user, [11]), (role, [21, 7, 8, 22])]),
    ]
    for what, turns in cases:
        ids, wanted, header, late = [], [], [], []
        for who, said in turns:
            ids += [start, *who, *said, end, 9]
            mine = who == role
            wanted += [-100] * 3 + [t if mine else -100 for t in [*said, end]] + [-100]
            header += [t if mine else -100 for t in [start, *who, *said, end]] + [-100]
            late += [-100] * 3 + [t if mine else -100 for t in said] + [-100] * 2
        got = labels(list(ids), start, list(role), end)
        assert got is not None, "labels returned None. Does it end with `return`?"
        got = [int(label) for label in got]
        assert len(got) == len(ids), (
            f"{what}: {len(got)} labels for {len(ids)} tokens; each token has one"
        )
        _not(
            got,
            wanted,
            header,
            what,
            "the header, <|im_start|>assistant and its line break, "
            "counts too. The server writes it before the model begins: start after it",
        )
        _not(
            got,
            wanted,
            late,
            what,
            "<|im_end|> does not count. It is the assistant's last "
            "token: a model that never learned it never stops",
        )
        _not(got, wanted, ids, what, "all tokens count, those of the tools and the user too")
        assert -100 in got or -100 not in wanted, f"{what}: a label that does not count is -100"
        assert got == wanted, (
            f"{what}: ids {ids}\n  labels {got}\n  wanted {wanted}\n(here <|im_start|> is {start}, "
            f"the role's line {role}, <|im_end|> {end}). A turn begins with <|im_start|> and then "
            "the role; every turn of the assistant counts, up to its <|im_end|>"
        )
    print("ok: five conversations, with several turns and with words that look like a header")


def check_train_step(train_step) -> None:
    """`train_step(network, optimizer, ids, labels)`: one update, and the loss before it."""
    import torch
    import torch.nn.functional as F

    torch.manual_seed(9300)

    def network():
        made = torch.nn.Sequential(torch.nn.Embedding(13, 8), torch.nn.Linear(8, 13))
        made.load_state_dict(weights)
        return made, torch.optim.SGD(made.parameters(), lr=0.5)

    weights = torch.nn.Sequential(torch.nn.Embedding(13, 8), torch.nn.Linear(8, 13)).state_dict()
    ids = torch.randint(0, 13, (3, 9))
    labels = ids.where(torch.rand(3, 9) < 0.5, -100)

    def loss_of(net, shift, masked=True):
        target = (labels if masked else ids)[:, shift:]
        logits = net(ids[:, : ids.shape[1] - shift])
        return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100)

    (mine, optimizer), (theirs, other) = network(), network()
    for step in range(3):
        wanted = loss_of(theirs, 1)
        wrong = {
            "the labels are not shifted. After the token at place t the model predicts the one at "
            "t + 1: give it ids[:, :-1], and compare with labels[:, 1:]": loss_of(theirs, 0).item(),
            "every token counts. Compare with `labels`, and not with `ids`": loss_of(
                theirs, 1, masked=False
            ).item(),
        }
        other.zero_grad()
        wanted.backward()
        other.step()
        before = mine[1].weight.detach().clone()
        got = train_step(mine, optimizer, ids.clone(), labels.clone())
        assert got is not None, "train_step returned None. Return the loss: loss.item()"
        assert isinstance(got, float), (
            f"train_step returned a {type(got).__name__}: loss.item() is a number, and lets go of "
            "the memory that the gradient needed"
        )
        for mistake, value in wrong.items():
            assert abs(got - value) > 1e-5 or abs(wanted.item() - value) < 1e-4, mistake
        assert not torch.equal(before, mine[1].weight), (
            "the weights are the same after the step: nothing was learned. loss.backward() makes "
            "the gradients, optimizer.step() uses them"
        )
        assert abs(got - wanted.item()) < 1e-4, (
            f"the loss of step {step + 1} is {got:.4f}, wanted {wanted.item():.4f}. "
            + (
                "The first was right, so the update was not: gradients add up from step to step "
                "unless optimizer.zero_grad() clears them"
                if step
                else "It is the mean cross-entropy over the labels that are not -100"
            )
        )
    for one, two in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-4), (
            "after three steps the weights are not what they should be: one optimizer.step() each"
        )
    print("ok: three steps of a small network, loss and weights as they should be")


def check_is_right(is_right) -> None:
    """`is_right(message, name, arguments)`: exactly that call, and nothing else."""
    wanted = {"camera": "dock 4", "degrees": 30}
    right = json.dumps(wanted)
    cases = [
        (True, [("turn_camera", right)], "the very call"),
        (
            True,
            [("turn_camera", '{"degrees":30 , "camera":"dock 4"}')],
            "the same call with other spaces and another order of arguments. "
            "Compare what json.loads makes of the text, not the text",
        ),
        (False, [("turn_camera", right.replace("30", "31"))], "31 degrees in place of 30"),
        (False, [("turn_camera", right.replace("30", '"30"'))], 'the text "30" for the number'),
        (False, [("move_camera", right)], "another tool"),
        (False, [("turn_camera", right.replace("}", ', "speed": 2}'))], "an argument too many"),
        (False, [("turn_camera", '{"camera": "dock 4"}')], "a call with arguments missing"),
        (False, [("turn_camera", right)] * 2, "the right call twice: the camera turns twice"),
        (
            False,
            [("turn_camera", right), ("turn_camera", right.replace("dock 4", "dock 5"))],
            "a second call behind the right one: it would be executed too",
        ),
        (False, [("turn_camera", '{"camera": "do')], "arguments cut off in the middle"),
        (False, [], "an answer in words, without any call (tool_calls is None)"),
    ]
    for expected, made, what in cases:
        try:
            got = is_right(_message(made), "turn_camera", dict(wanted))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise AssertionError(
                f"{what}: is_right raised {type(error).__name__}: {error}. Models say anything; "
                "an evaluation that stops at the first nonsense measures nothing. Return False"
            ) from error
        assert isinstance(got, bool | np.bool_), (
            f"{what}: is_right returned {got!r}, wanted True or False. Does every path return?"
        )
        assert got == expected, f"judged {'right' if got else 'wrong'}: {what}"
    print(f"ok: {len(cases)} replies judged, good, bad and broken ones")


def check_ship(ship, weights) -> None:
    """`ship(weights, folder)` makes a Q8_0 file of these weights; it calls, and has not forgotten.

    weights: {name: array}. The file is served, and asked what the notebook does not show.
    """
    before = {path: path.stat().st_mtime_ns for path in model.MODELS.rglob("*")}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        path = ship(weights, Path(place))
        assert before == {path: path.stat().st_mtime_ns for path in model.MODELS.rglob("*")}, (
            "something under models/ has changed: `git checkout -- models` restores it. Write into "
            "the folder that ship was given"
        )
        _check_file(path, weights, Path(place))
        with backends.start("llama.cpp", model=str(path)) as backend:
            new, old = _marks(backend, _new_questions()), _marks(backend, _old_questions())
    share = sum(new) / len(new)
    assert share >= LIMIT, (
        f"{sum(new)} of {len(new)} requests that the notebook does not show were called exactly, "
        f"wanted {LIMIT:.0%}. The file is fine, the training is not: did the loss fall? Do the "
        "labels count what the assistant says? Are there many phrasings and many cameras?"
    )
    with backends.start("llama.cpp", model="edge-slm") as backend:
        known = _marks(backend, _old_questions())
    still = sum(one and two for one, two in zip(old, known, strict=True))
    assert still >= KEPT * sum(known), (
        f"of {sum(known)} requests for old tools that were right before, {still} are right now, "
        f"wanted {KEPT:.0%}. It forgot: mix old conversations into every step (replay)"
    )
    print(
        f"ok: at least {LIMIT:.0%} of {len(new)} unseen requests called exactly from your Q8_0 "
        f"file, and at least {KEPT:.0%} of what it knew before is still right"
    )


# ---- what the checks share


def _tool(name, description, **types):
    properties = {
        argument: {"type": "string", "enum": kind.split("|")} if "|" in kind else {"type": kind}
        for argument, kind in types.items()
    }
    parameters = {"type": "object", "properties": properties, "required": list(types)}
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


def _tuple(made):
    assert isinstance(made, tuple) and len(made) == 2, (
        f"example returned {made!r:.80}, wanted two things: messages and tools. Does it end with "
        "`return messages, tools`?"
    )
    return made


def _one_call(messages):
    roles = [message.get("role") for message in messages]
    assert roles == ["user", "assistant"], (
        f"the roles are {roles}, wanted the user's request and the assistant's call"
    )
    made = messages[1].get("tool_calls") or []
    assert len(made) == 1 and made[0].get("function", {}).get("name") == "turn_camera", (
        f"the assistant's message is {messages[1]!r}, wanted one call of turn_camera: call(...)"
    )
    arguments = made[0]["function"]["arguments"]
    return messages[0]["content"], arguments if isinstance(arguments, dict) else json.loads(
        arguments
    )


def _pattern(said, arguments):
    return said.replace(arguments["camera"], "{camera}").replace(
        str(arguments["degrees"]), "{degrees}"
    )


def _not(got, wanted, mistaken, what, why):
    assert got == wanted or got != mistaken, f"{what}: {why}"


def _message(made):
    from openai.types.chat import ChatCompletionMessage

    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (name, arguments) in enumerate(made)
    ]
    content = None if calls else "I have turned it."
    return ChatCompletionMessage.model_validate(
        {"role": "assistant", "content": content, "tool_calls": calls or None}
    )


def _check_file(path, weights, place):
    import gguf

    assert isinstance(path, str | Path), (
        f"ship returned {path!r}, wanted the path of the GGUF file. Does it end with `return`?"
    )
    path = Path(path)
    assert path.is_file(), (
        f"{path} is not a file. The folder of weights is half of the way: model.convert makes the "
        "GGUF of it, and returns its path"
    )
    assert path.read_bytes()[:4] == b"GGUF", (
        f"{path.name} is not a GGUF file (its first four bytes are not 'GGUF'): return what "
        "model.convert returns"
    )
    assert place.resolve() in path.resolve().parents, (
        f"{path} is not in the folder that ship was given: write everything there"
    )
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    matrix = tensors["blk.1.ffn_up.weight"]
    kind = matrix.tensor_type.name
    assert kind == "Q8_0", f'the matrices are {kind}, wanted "Q8_0", half the size of F16'
    mine = np.asarray(weights["model.layers.1.mlp.up_proj.weight"], np.float32)
    there = gguf.dequantize(matrix.data, matrix.tensor_type)
    assert np.abs(mine - there).max() < 0.02 * np.abs(mine).max(), (
        "the file holds other weights than those that ship was given: write `weights`, and not a "
        "model that was there before"
    )


def _marks(backend, questions):
    """Whether each request gets exactly the call that is wanted."""
    marks = []
    with backend.openai() as client:
        for request, tools, name, arguments in questions:
            reply = client.chat.completions.create(
                model=backend.model,
                messages=[{"role": "user", "content": request}],
                tools=tools,
                temperature=0,
                max_tokens=100,
            )
            made = [
                (call.function.name, _parsed(call.function.arguments))
                for call in reply.choices[0].message.tool_calls or []
            ]
            marks.append(made == [(name, arguments)])
    return marks


def _parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


CAMERA = _tool(
    "turn_camera",
    "Turn a security camera to an angle.",
    camera="string",
    degrees="integer",
)
KNOWN = {
    tool["function"]["name"]: tool
    for tool in (
        _tool("get_weather", "Say the weather in a city.", city="string"),
        _tool(
            "set_thermostat",
            "Set the temperature of a room.",
            room="string",
            temperature="number",
        ),
        _tool("lookup_order_status", "Look up the status of an order.", order_id="string"),
        _tool("check_inventory", "Say how many of a product are in stock.", product_sku="string"),
        _tool("store_hours", "Say when the shop is open.", day="string"),
        _tool("restart_service", "Restart a service.", service="string"),
        _tool("take_note", "Write a note.", text="string"),
        _tool("set_reminder", "Set a reminder.", text="string", time="string"),
    )
}

# The phrasings that judge, apart from those of the notebook, with what fills them.
UNSEEN = """
Could the {camera} camera face {degrees} degrees?
I need {camera} to look at {degrees} degrees.
Somebody is at the fence: {degrees} degrees with the {camera} camera!
Shift the {camera} camera to {degrees} degrees.
The {camera} camera points anywhere, bring it to {degrees} degrees.
Spin the {camera} camera round to {degrees} degrees.
Make the {camera} camera look at {degrees}.
For the night, turn {camera} to {degrees} degrees.
pan {camera} to {degrees}
Would you steer the {camera} camera to {degrees} degrees?
Angle of {camera}: {degrees} degrees, please.
Give me {degrees} degrees on the {camera} camera.
There's a drone! {camera} to {degrees} degrees!
Change the {camera} camera to {degrees} degrees.
Let's have a look with {camera}, at {degrees} degrees.
Direct the {camera} camera to {degrees} degrees now.
the {camera} camera goes to {degrees} degrees
Is {camera} at {degrees} degrees? If not, turn it there.
We need the {camera} camera at {degrees}, the truck is coming.
Put {camera} on {degrees} degrees.
""".strip().splitlines()
CAMERAS = "tunnel;pier 3;CAM-57;ticket hall;silo 2;K8;harbour;garage 11;chapel;CAM-03".split(";")
OLD = """
get_weather: What's the weather like in {Porto}?
get_weather: Do I need an umbrella in {Leeds}?
get_weather: Tell me the weather in {Bergen}, please.
set_thermostat: Set the {kitchen} to {21} degrees.
set_thermostat: Make it {19.5} degrees in the {office}.
set_thermostat: Please heat the {bedroom} to {23}.
lookup_order_status: Where is my order {ORD-7731}?
lookup_order_status: What's the status of order {A-2048}?
lookup_order_status: Has {WEB-1190} been shipped yet?
check_inventory: How many of {SKU-4410} do we have left?
check_inventory: Is {LMP-220} in stock?
check_inventory: Check the stock of {BX-907}.
store_hours: When are you open on {Saturday}?
store_hours: What are the opening hours on {Monday}?
store_hours: Until when is the shop open on {Friday}?
restart_service: Restart {nginx}, please.
restart_service: The {billing} service hangs, restart it.
restart_service: Can you restart the {mail} service?
take_note: Write down: {the back door sticks}
take_note: Make a note: {call the plumber}
take_note: Note this: {paint is in the cellar}
set_reminder: Remind me to {water the plants} at {18:00}.
set_reminder: Set a reminder to {feed the cat} at {7:30}.
set_reminder: Remind me at {16:45} to {call Ada}.
""".strip().splitlines()


def _new_questions():
    rng = random.Random(9501)
    for pattern in 2 * UNSEEN:
        wanted = {"camera": rng.choice(CAMERAS), "degrees": rng.randint(2, 175)}
        tools = [CAMERA, *rng.sample(list(KNOWN.values()), 2)]
        yield pattern.format(**wanted), rng.sample(tools, 3), "turn_camera", wanted


def _old_questions():
    rng = random.Random(9502)
    for line in OLD:
        name, _, request = line.partition(": ")
        tool = KNOWN[name]
        properties = tool["function"]["parameters"]["properties"]
        values = re.findall(r"\{([^}]+)\}", request)
        figures = {argument for argument, one in properties.items() if one["type"] == "number"}
        values.sort(key=lambda value: _is_last(value, name))
        wanted = {
            argument: float(value) if argument in figures else value
            for argument, value in zip(properties, values, strict=True)
        }
        others = [one for one in KNOWN.values() if one is not tool]
        tools = [tool, CAMERA, *rng.sample(others, 1)]
        yield re.sub(r"[{}]", "", request), rng.sample(tools, 3), name, wanted


def _is_last(value, name):
    """Of two values the figure or the time is the second argument, wherever it was said."""
    return name in {"set_thermostat", "set_reminder"} and value[:1].isdigit()
