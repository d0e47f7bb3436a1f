"""The runtimes of helpers.serving that are libraries, driven as the server's thread drives them.

A runtime more is a line of RUNTIMES. What is asked of it is what its `can` holds.
"""

import dataclasses
import importlib
import json

import jsonschema
import pytest

from helpers import backends, model
from helpers.serving.batched import Constraint, Job
from helpers.serving.engine import Sampling, ServingError
from helpers.serving.text import CallParser, Text
from tests.conftest import post

CONTEXT = 256
# Module and class, options, and whether it calculates as exactly as llama.cpp does in F16.
RUNTIMES = {
    "openvino": ("openvino", "OpenVino", {"slots": 8, "context": CONTEXT}, True),
    "mlx": ("mlx", "Mlx", {"slots": 8, "context": CONTEXT, "device": "cpu"}, True),
    "onnx": ("onnx", "Onnx", {"slots": 8, "context": CONTEXT}, False),
    "onnx fp32": ("onnx", "Onnx", {"slots": 8, "context": CONTEXT, "precision": "fp32"}, True),
}
PROMPTS = [
    "Explain what a thermostat does.",
    "Say something about the sea.",
    "What is the capital of France?",
    "Write a short note to a colleague about the meeting tomorrow.",
    "List three fruits.",
    "My name is Ada. What is my name?",
    "How are you?",
    "Hi!",
]
MORE = [
    "Who are you?",
    "What can you do for me?",
    "Turn on the lights in the kitchen.",
    "Where is order A1234?",
    "Tell me a joke.",
    "What is 7 times 8?",
    "Translate 'good morning' into French.",
    "Thank you, that was all.",
    "Book a table for four tomorrow at 19:30.",
    "Why is the sky blue?",
    "Remind me to call Ms. Özdemir on Monday.",
    "Summarise: the pump failed twice, the spare part comes on Friday.",
]
TOOLS = (
    {
        "name": "get_weather",
        "description": "Say what the weather will be.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "maxLength": 12},
                "days": {"type": "integer", "minimum": 1, "maximum": 5},
            },
            "required": ["city", "days"],
        },
    },
    {"name": "list_lights", "description": "List the lights."},
)
SCHEMAS = [
    TOOLS[0]["parameters"],
    {
        "$defs": {
            "point": {
                "type": "object",
                "properties": {"x": {"type": "number", "minimum": 0, "maximum": 1.5}},
                "required": ["x"],
            }
        },
        "type": "object",
        "properties": {
            "points": {"type": "array", "items": {"$ref": "#/$defs/point"}, "maxItems": 2},
            "kind": {"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]},
        },
        "required": ["points", "kind"],
    },
    {
        "type": "array",
        "items": {
            "type": "array",
            "items": {"type": "integer", "minimum": -9, "exclusiveMaximum": 130},
            "minItems": 2,
            "maxItems": 2,
        },
        "minItems": 2,
        "maxItems": 3,
    },
    {
        "type": "object",
        "properties": {
            "on": {"type": "boolean"},
            "note": {"type": ["string", "null"], "maxLength": 4},
            "mark": {"const": 'é"x'},
        },
        "required": ["mark"],
    },
]
NOT_TO_BE_KEPT = [
    {"type": "nonsense"},
    {"type": "object", "properties": {"a": 5}},
    {"$ref": "#/$defs/none"},
    {"$ref": "#"},
    {"enum": []},
    {"type": "integer", "minimum": 5, "maximum": 3},
    {"type": "string", "pattern": "("},
    {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
    ["no schema"],
]


def those(*needed: str, exact: bool = False):
    """Run a test for each runtime that can do what is needed, one runtime after the other."""
    names = []
    for name, (module, kind, _, is_exact) in RUNTIMES.items():
        can = getattr(importlib.import_module(f"helpers.serving.{module}"), kind).can
        if can.issuperset(needed) and (is_exact or not exact):
            needs = [name.split()[0], *(["torch"] if "fp32" in name else [])]
            names.append(pytest.param(name, marks=pytest.mark.needs(*needs)))
    return pytest.mark.parametrize("runtime", names, indirect=True, scope="module")


@pytest.fixture(scope="module")
def runtime(request):
    module, kind, options, _ = RUNTIMES[request.param]
    if "fp32" in request.param:  # too large to come with the course
        from slm import onnx

        onnx.build("edge-slm", "fp32")
    made = getattr(importlib.import_module(f"helpers.serving.{module}"), kind)(**options)
    yield made
    made.close()


@pytest.fixture(scope="module")
def text():
    return Text(model.folder())


@pytest.fixture(scope="module")
def prompts(text):
    return [text.encode(text.render([{"role": "user", "content": said}])) for said in PROMPTS]


@pytest.fixture(scope="module")
def weather(text):
    asked = [{"role": "user", "content": "What will the weather in Paris be for 3 days?"}]
    tools = [{"type": "function", "function": tool} for tool in TOOLS]
    return text.encode(text.render(asked, tools))


def job(prompt: list[int], tokens: int = 40, constraint: Constraint | None = None, **sampling):
    return Job(prompt, tokens, Sampling(**{"temperature": 0, **sampling}), constraint)


def run(runtime, *jobs: Job) -> list[tuple[list[int], str]]:
    """The tokens that each job got, and how it ended."""
    for one in jobs:
        runtime.add(one)
    return go_on(runtime, *jobs)


def go_on(runtime, *jobs: Job) -> list[tuple[list[int], str]]:
    got, ends = {one: [] for one in jobs}, {}
    while len(ends) < len(jobs):
        for one, tokens, finish in runtime.step():
            assert one in got and one not in ends, "a job that is not running"
            got[one] += [token.id for token in tokens]
            if finish:
                ends[one] = finish
    return [(got[one], ends[one]) for one in jobs]


def first_difference(backend, prompt: list[int], got: list[int], ends) -> float | None:
    """How far apart llama.cpp's two best are where its greedy answer parts from `got`, if it does.

    In log-probability; 64 tokens. Infinite where one answer goes on and the other does not.
    """
    request = {"prompt": prompt, "n_predict": 64, "temperature": 0, "n_probs": 2}
    told = post(backend, "/completion", {**request, "return_tokens": True})
    expected = [token for token in told["tokens"] if token not in ends]
    for place, (mine, its) in enumerate(zip(got, expected, strict=False)):
        if mine != its:
            best = told["completion_probabilities"][place]["top_logprobs"]
            return best[0]["logprob"] - best[1]["logprob"]
    return None if len(got) == len(expected) > 1 else float("inf")


@those(exact=True)
def test_a_greedy_answer_is_llama_cpps(runtime, text):
    """20 prompts, 64 tokens; other tokens only where the best two are as good as equal."""
    asked = [[{"role": "user", "content": said}] for said in PROMPTS + MORE]
    prompts = [text.encode(text.render(messages)) for messages in asked]
    answers = run(runtime, *(job(prompt, 64) for prompt in prompts))
    with backends.start("llama.cpp", quant="F16", slots=1) as backend:
        gaps = [
            first_difference(backend, prompt, got, text.ends)
            for prompt, (got, _) in zip(prompts, answers, strict=True)
        ]
    assert all(gap is None or gap < 1e-3 for gap in gaps)
    assert gaps.count(None) >= 17


@pytest.mark.needs("foundry", "torch")
def test_foundry_answers_as_llama_cpp(text):
    """The same over its server, since it says no token ids."""
    from slm import onnx

    onnx.build("edge-slm", "fp32")
    gaps = []
    with (
        backends.start("foundry", precision="fp32") as served,
        backends.start("llama.cpp", quant="F16", slots=1) as exact,
    ):
        for said in PROMPTS + MORE:
            prompt = text.encode(text.render([{"role": "user", "content": said}]))
            reply = served.openai().completions.create(
                model=served.model, prompt=prompt, max_tokens=64, temperature=0
            )
            gaps.append(
                first_difference(exact, prompt, text.encode(reply.choices[0].text), text.ends)
            )
    assert all(gap is None or gap < 1e-3 for gap in gaps)
    assert gaps.count(None) >= 17


@pytest.mark.needs("onnx", "openvino")
def test_the_librarys_own_tokenizers_agree(weather, text):
    import onnxruntime_genai
    import openvino_genai

    read = text.tokenizer.decode(weather, skip_special_tokens=False)
    assert "<tool_call>" not in read and "get_weather(city" in read
    for hard in (read, 'São Paulo 東京 🙂 <tool_call>{"name":"x"}</tool_call>  two\n\ttab'):
        ids = text.encode(hard)
        tokenizer = onnxruntime_genai.Tokenizer(onnxruntime_genai.Model(str(model.onnx())))
        assert list(tokenizer.encode(hard)) == ids
        tokenizer = openvino_genai.Tokenizer(str(model.gguf("edge-slm", "F16")))
        assert tokenizer.encode(hard, add_special_tokens=False).input_ids.data[0].tolist() == ids


@those()
def test_eight_at_once_get_what_each_gets_alone(runtime, prompts):
    alone = [run(runtime, job(prompt, 12))[0] for prompt in prompts]
    assert run(runtime, *(job(prompt, 12) for prompt in prompts)) == alone


@those()
def test_a_job_that_is_removed_frees_its_place_and_harms_no_other(runtime, prompts):
    alone = run(runtime, *(job(prompt, 12, ignore_eos=True) for prompt in prompts))
    jobs = [job(prompt, 12, ignore_eos=True) for prompt in prompts]
    for one in jobs:
        runtime.add(one)
    got = {one: [] for one in jobs}
    while min(map(len, got.values())) < 3:
        for one, tokens, _ in runtime.step():
            got[one] += [token.id for token in tokens]
    runtime.remove(jobs[2])
    jobs[2] = job(prompts[2], 12, ignore_eos=True)
    runtime.add(jobs[2])
    got[jobs[2]] = []
    rest = go_on(runtime, *jobs)
    assert [got[one] + after for one, (after, _) in zip(jobs, rest, strict=True)] == [
        tokens for tokens, _ in alone
    ]


@those()
def test_an_answer_ends_after_so_many_tokens_or_with_an_end_token(runtime, prompts, text):
    (short, full, on) = run(
        runtime,
        job(prompts[7], 2),
        job(prompts[7], 30),
        job(prompts[7], 30, ignore_eos=True),
    )
    assert (len(short[0]), short[1]) == (2, "length")
    assert full[1] == "stop" and len(full[0]) < 30 and not text.ends.intersection(full[0])
    assert (len(on[0]), on[1]) == (30, "length")


@those("seed")
def test_a_seed_gives_the_same_again_alone_or_in_a_batch(runtime, prompts):
    def asked(seed):
        return job(prompts[4], 12, temperature=1.2, seed=seed, ignore_eos=True)

    one, again, other = run(runtime, asked(5), asked(5), asked(6))
    assert one == again != other
    assert run(runtime, asked(5)) == [one]
    assert len({tuple(tokens) for tokens, _ in run(runtime, *map(asked, [None] * 4))}) > 1


@those()
def test_narrow_sampling_is_greedy(runtime, prompts):
    narrow = [{"top_k": 1}, {"top_p": 1e-6}]
    if "min_p" in runtime.can:
        narrow.append({"min_p": 0.99})
    greedy, *others = run(
        runtime,
        job(prompts[0], 8),
        *(job(prompts[0], 8, temperature=1, **sampling) for sampling in narrow),
    )
    assert others == [greedy] * len(narrow)


@those("penalties")
def test_penalties_are_for_what_was_written(runtime, prompts):
    def most(**sampling):
        ((tokens, _),) = run(runtime, job(prompts[1], 24, ignore_eos=True, **sampling))
        return max(map(tokens.count, tokens))

    assert most(frequency_penalty=2.0) < most()
    assert most(presence_penalty=2.0) < most()


@those("logprobs")
def test_logprobs_are_of_the_chosen_and_the_most_probable(runtime, prompts):
    asked, tokens = job(prompts[0], 4, logprobs=3), []
    runtime.add(asked)
    while len(tokens) < 4:
        tokens += [token for _, new, _ in runtime.step() for token in new]
    for token in tokens:
        assert len(token.top) == 3 and token.top[0] == (token.id, token.logprob)
        assert 0 >= token.top[0][1] >= token.top[1][1] >= token.top[2][1]


@those("json_schema")
@pytest.mark.parametrize("temperature", [0, 1.5])
def test_a_schema_is_kept(runtime, prompts, text, temperature):
    jobs = [
        job(prompts[2], 90, Constraint(schema), temperature=temperature, seed=number)
        for number, schema in enumerate(SCHEMAS)
    ]
    for schema, (tokens, finish) in zip(SCHEMAS, run(runtime, *jobs), strict=True):
        assert finish == "stop"
        jsonschema.validate(json.loads(text.tokenizer.decode(tokens)), schema)


@those("tools")
@pytest.mark.parametrize("parallel", [True, False])
def test_a_required_call_fits_its_tool(runtime, prompts, weather, text, parallel):
    constraint = Constraint(None, TOOLS, required=True, parallel=parallel)
    for tokens, finish in run(
        runtime, job(weather, 60, constraint), job(prompts[6], 60, constraint)
    ):
        assert finish == "stop"
        said, calls = CallParser().feed(text.tokenizer.decode(tokens, skip_special_tokens=False))
        assert said == "" and len(calls) >= 1 and (parallel or len(calls) == 1)
        for call in calls:
            (tool,) = (tool for tool in TOOLS if tool["name"] == call.name)
            arguments = json.loads(call.arguments)
            if "parameters" in tool:
                jsonschema.validate(arguments, tool["parameters"])
            else:
                assert arguments == {}


@those("tools")
def test_with_tools_an_answer_is_free_but_for_its_calls(runtime, prompts, weather, text):
    constraint = Constraint(None, TOOLS)
    called, talked, free = run(
        runtime,
        job(weather, 60, constraint),
        job(prompts[6], 40, constraint),
        job(prompts[6], 40),
    )
    ((call,),) = CallParser().feed(text.tokenizer.decode(called[0]))[1:]
    assert call.name == "get_weather"
    jsonschema.validate(json.loads(call.arguments), TOOLS[0]["parameters"])
    assert talked == free


@those("json_schema")
def test_a_constraint_holds_its_own_answer_only(runtime, prompts):
    before = run(runtime, job(prompts[2], 12))
    held, beside = run(runtime, job(prompts[2], 12, Constraint(SCHEMAS[0])), job(prompts[2], 12))
    assert held[0] != beside[0]
    assert [beside] == before == run(runtime, job(prompts[2], 12))


@those("json_schema")
@pytest.mark.parametrize("schema", NOT_TO_BE_KEPT, ids=lambda schema: json.dumps(schema)[:40])
def test_a_schema_that_cannot_be_kept_is_refused(runtime, prompts, schema):
    running = job(prompts[7], 8)
    runtime.add(running)
    with pytest.raises(ServingError) as refused:
        runtime.add(job(prompts[2], 8, Constraint(schema)))
    assert go_on(runtime, running) == run(runtime, dataclasses.replace(running, state=None))
    said = str(refused.value)
    assert refused.value.status == 400 and "the schema cannot be kept: " in said
    assert "\n" not in said and ".cc" not in said  # the library's words, not its source's place


@those("tools")
def test_what_a_tool_asks_and_a_runtime_cannot_keep_is_passed_over(runtime, prompts, text):
    fields = {"x": {"type": "string", "format": "uri-like"}, "y": {"not": {"type": "null"}}}
    tool = {"name": "odd", "parameters": {"type": "object", "properties": fields}}
    constraint = Constraint(None, (tool,), required=True, parallel=False)
    ((tokens, _),) = run(runtime, job(prompts[2], 12, constraint))
    assert text.tokenizer.decode(tokens, skip_special_tokens=False).startswith(
        '<tool_call>{"name":"odd","arguments":{'
    )


@those()
def test_prompts_of_one_token_and_of_all_but_one(runtime, prompts):
    long = (prompts[3] * CONTEXT)[: CONTEXT - 1]
    one, most = run(runtime, job([5], 4, ignore_eos=True), job(long, 1, ignore_eos=True))
    assert len(one[0]) == 4 and len(most[0]) == 1
