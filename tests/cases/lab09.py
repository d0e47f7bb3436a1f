"""Typical wrong answers to lab 09, in the form of `lab01`."""

import json
import random

from safetensors.numpy import load_file

from helpers import model

NEEDS = {"check_train_step": ["torch"]}


# ---- example

CAMERA = {"type": "function", "function": {"name": "turn_camera", "parameters": {}}}


def camera_name(rng):
    return rng.choice(["gate", "roof", "lobby"]) + f" {rng.randint(1, 99)}"


def call(**arguments):
    made = {"type": "function", "function": {"name": "turn_camera", "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [made]}


def example(rng, patterns, others, **change):
    pattern = rng.choice(patterns)
    camera, degrees = change.get("camera") or camera_name(rng), rng.randint(1, 180)
    tools = [CAMERA, *rng.sample(others, rng.randint(0, 3))]
    said = pattern.format(camera=camera, degrees=degrees)
    degrees = change.get("type", int)(degrees + change.get("off", 0))
    wanted = call(camera=camera, degrees=degrees)
    shown = tools if change.get("in_order") else rng.sample(tools, len(tools))
    return [{"role": "user", "content": said}, wanted], shown


def example_without_return(rng, patterns, others):
    example(rng, patterns, others)


def example_of_any_seed(rng, patterns, others):
    return example(random, patterns, others)


def example_in_order(rng, patterns, others):
    return example(rng, patterns, others, in_order=True)


def example_with_text(rng, patterns, others):
    return example(rng, patterns, others, type=str)


def example_of_other_values(rng, patterns, others):
    return example(rng, patterns, others, off=1)


def example_of_one_camera(rng, patterns, others):
    return example(rng, patterns, others, camera="gate")


def example_of_one_pattern(rng, patterns, others):
    return example(rng, patterns[:1], others)


def example_alone(rng, patterns, others):
    return example(rng, patterns, others)[0], [CAMERA]


def example_without_the_tool(rng, patterns, others):
    return example(rng, patterns, others)[0], rng.sample(others, 2)


# ---- labels


def labels(ids, start, role, end, first=1, closing=True, first_only=False, header=False):
    made, speaking, done = [], False, False
    for at, token in enumerate(ids):
        begins = ids[max(0, at - len(role) - first) : at] == [start, *role][1 - first :]
        if begins and not done:
            speaking = True
            if header:
                made[at - len(role) - 1 : at] = ids[at - len(role) - 1 : at]
        made.append(token if speaking and (closing or token != end) else -100)
        if speaking and token == end:
            speaking, done = False, first_only
    return made


def labels_of_all(ids, start, role, end):
    return ids


def labels_without_the_end(ids, start, role, end):
    return labels(ids, start, role, end, closing=False)


def labels_with_the_header(ids, start, role, end):
    return labels(ids, start, role, end, header=True)


def labels_of_the_first_turn(ids, start, role, end):
    return labels(ids, start, role, end, first_only=True)


def labels_after_the_word(ids, start, role, end):
    return labels(ids, start, role, end, first=0)


def labels_without_return(ids, start, role, end):
    labels(ids, start, role, end)


def labels_too_few(ids, start, role, end):
    return [label for label in labels(ids, start, role, end) if label != -100]


# ---- train_step


def train_step(network, optimizer, ids, labels, shift=1, clear=True, learn=True, as_number=True):
    import torch.nn.functional as F

    logits, targets = network(ids[:, : ids.shape[1] - shift]), labels[:, shift:]
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
    if clear:
        optimizer.zero_grad()
    loss.backward()
    if learn:
        optimizer.step()
    return loss.item() if as_number else loss


def step_not_shifted(*given):
    return train_step(*given, shift=0)


def step_that_adds_up(*given):
    return train_step(*given, clear=False)


def step_that_learns_nothing(*given):
    return train_step(*given, learn=False)


def step_that_counts_all(network, optimizer, ids, labels):
    return train_step(network, optimizer, ids, ids)


def step_without_return(*given):
    train_step(*given)


def step_that_returns_a_tensor(*given):
    return train_step(*given, as_number=False)


# ---- is_right


def right_by_name(message, name, arguments):
    return bool(message.tool_calls) and message.tool_calls[0].function.name == name


def right_by_text(message, name, arguments):
    made = message.tool_calls or [None]
    return len(made) == 1 and bool(made[0]) and made[0].function.arguments == json.dumps(arguments)


def right_by_the_first(message, name, arguments):
    try:
        first = message.tool_calls[0].function
        return first.name == name and json.loads(first.arguments) == arguments
    except (ValueError, TypeError):
        return False


def right_without_care(message, name, arguments):
    made = message.tool_calls or []
    return (
        len(made) == 1
        and made[0].function.name == name
        and json.loads(made[0].function.arguments) == arguments
    )


def right_of_words(message, name, arguments):
    return len(message.tool_calls) == 1 and right_by_the_first(message, name, arguments)


def right_as_text(message, name, arguments):
    made = message.tool_calls or []
    return len(made) == 1 and {k: str(v) for k, v in _loads(made).items()} == {
        k: str(v) for k, v in arguments.items()
    }


def _loads(made):
    try:
        return json.loads(made[0].function.arguments)
    except ValueError:
        return {}


# ---- ship: of the course's own weights, which were never taught the tool

WEIGHTS = load_file(model.folder("edge-slm") / "model.safetensors")
OTHER = {name: 2 * weight for name, weight in WEIGHTS.items()}


def ship_untaught(weights, folder, quant="Q8_0"):
    return model.convert(model.folder("edge-slm"), folder / "shipped.gguf", quant)


def ship_f16(weights, folder):
    return ship_untaught(weights, folder, "F16")


def ship_without_return(weights, folder):
    ship_untaught(weights, folder)


def ship_the_folder(weights, folder):
    return model.folder("edge-slm")


def ship_the_courses_file(weights, folder):
    return model.gguf("edge-slm")


def ship_the_weights(weights, folder):
    return model.folder("edge-slm") / "model.safetensors"


WRONG = {
    "check_example": [
        (example_without_return, "return messages, tools"),
        (example_of_any_seed, "the argument `rng`"),
        (example_in_order, "shuffle"),
        (example_with_text, "integer"),
        (example_of_other_values, "draw each value once"),
        (example_of_one_camera, "camera_name(rng)"),
        (example_of_one_pattern, "rng.choice(patterns)"),
        (example_alone, "none to three"),
        (example_without_the_tool, "must be among them"),
    ],
    "check_labels": [
        (labels_of_all, "all tokens count"),
        (labels_without_the_end, "never stops"),
        (labels_with_the_header, "The server writes it"),
        (labels_of_the_first_turn, "every turn"),
        (labels_after_the_word, "begins with <|im_start|>"),
        (labels_without_return, "return"),
        (labels_too_few, "each token has one"),
    ],
    "check_train_step": [
        (step_not_shifted, "not shifted"),
        (step_that_adds_up, "zero_grad"),
        (step_that_learns_nothing, "nothing was learned"),
        (step_that_counts_all, "every token counts"),
        (step_without_return, "Return the loss"),
        (step_that_returns_a_tensor, "loss.item()"),
    ],
    "check_is_right": [
        (right_by_name, "31 degrees"),
        (right_by_text, "another order"),
        (right_by_the_first, "twice"),
        (right_without_care, "Return False"),
        (right_of_words, "Return False"),
        (right_as_text, "for the number"),
    ],
    "check_ship": [
        (ship_untaught, WEIGHTS, "did the loss fall"),
        (ship_untaught, OTHER, "other weights"),
        (ship_f16, WEIGHTS, "half the size"),
        (ship_without_return, WEIGHTS, "return"),
        (ship_the_folder, WEIGHTS, "not a file"),
        (ship_the_courses_file, WEIGHTS, "not in the folder"),
        (ship_the_weights, WEIGHTS, "first four bytes"),
    ],
}
