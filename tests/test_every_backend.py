"""The same tests over every runtime: they answer, stream, call tools, keep to a schema, refuse."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import jsonschema
import openai
import psutil
import pytest

from helpers import backends
from tests.conftest import RUNTIME_NEEDS

HELLO = [{"role": "user", "content": "Hello!"}]
WEATHER = [{"role": "user", "content": "What is the weather like in Oslo?"}]


def tool(name: str, description: str, **properties) -> dict:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


TOOLS = [
    tool("get_weather", "Say the weather.", city={"type": "string", "maxLength": 20}),
    tool("set_light", "Switch the light.", state={"enum": ["on", "off"]}),
]
PLACE = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 20},
        "days": {"type": "integer", "minimum": 1, "maximum": 9},
        "unit": {"enum": ["celsius", "fahrenheit"]},
    },
    "required": ["city", "days", "unit"],
    "additionalProperties": False,
}


def format_of(schema: dict) -> dict:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


EVERY = [
    pytest.param(name, marks=pytest.mark.needs(*RUNTIME_NEEDS.get(name, ())))
    for name in backends.RUNTIMES
]


@pytest.fixture(params=EVERY)
def name(request):
    return request.param


@pytest.fixture(scope="module", params=EVERY)
def served(request):
    with backends.start(request.param) as started:
        yield started


@pytest.fixture
def ask(served):
    """Ask the backend, greedily and without a second try."""
    client = served.openai(max_retries=0, timeout=120)

    def create(messages=HELLO, **options):
        options = {"temperature": 0, "max_tokens": 60} | options
        return client.chat.completions.create(model=served.model, messages=messages, **options)

    return create


def only_call(reply) -> tuple[str, dict]:
    (call,) = reply.choices[0].message.tool_calls
    # "stop" is what OpenAI, and vLLM, say of a call whose tool the request names
    assert reply.choices[0].finish_reason in {"tool_calls", "stop"}
    return call.function.name, json.loads(call.function.arguments)


def test_it_answers_and_counts(served, ask):
    assert served.health() == "ok"
    reply = ask()
    assert reply.model == served.model
    assert reply.choices[0].message.content.strip()
    assert reply.choices[0].finish_reason == "stop"
    assert 5 < reply.usage.prompt_tokens < 30
    assert 1 < reply.usage.completion_tokens < 60


def test_it_measures_itself(served, ask):
    before = served.metrics()
    ask()
    list(ask(stream=True))
    with pytest.raises(openai.APIStatusError):
        ask(messages=[])
    after = served.metrics()
    assert [after[n] - before[n] for n in ("requests", "errors")] == [3, 1]
    assert 0 < after["latency_p50"] <= after["latency_p95"] < 60
    assert after["completion_tokens"] > before["completion_tokens"]
    assert after["prompt_tokens"] >= before["prompt_tokens"]
    assert 10 < after["tokens_per_second"] < 1e6
    assert 20e6 < after["memory"] < 8e9
    assert (after["running"], after["waiting"]) == (0, 0)


def test_a_stream_says_the_same(ask):
    whole = ask()
    chunks = list(ask(stream=True, stream_options={"include_usage": True}))
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens


def test_it_calls_a_tool(ask):
    assert only_call(ask(WEATHER, tools=TOOLS)) == ("get_weather", {"city": "Oslo"})


def test_a_streamed_call_is_whole(ask):
    name, arguments = "", ""
    for chunk in ask(WEATHER, tools=TOOLS, stream=True):
        for choice in chunk.choices:
            for call in choice.delta.tool_calls or ():
                name += call.function.name or ""
                arguments += call.function.arguments or ""
    assert (name, json.loads(arguments)) == ("get_weather", {"city": "Oslo"})


def test_it_goes_on_after_a_tools_result(ask):
    function = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
    call = {"id": "c1", "type": "function", "function": function}
    result = '{"temperature": 12, "condition": "rain"}'
    conversation = [
        *WEATHER,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": result},
    ]
    assert "Oslo" in ask(conversation, tools=TOOLS).choices[0].message.content


def test_a_call_can_be_required_named_or_forbidden(served, ask):
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}
    named = {"type": "function", "function": {"name": "set_light"}}
    for choice in ("required", named):
        one = {"tools": TOOLS, "tool_choice": choice}
        if served.name == "llama.cpp":  # it would pass over both
            with pytest.raises(backends.BackendError, match="several calls"):
                ask(WEATHER, tools=TOOLS, parallel_tool_calls=False)
            if choice == named:
                with pytest.raises(backends.BackendError, match="show it that tool alone"):
                    ask(WEATHER, **one)
                continue
        else:
            one["parallel_tool_calls"] = False
        name, arguments = only_call(ask(WEATHER, **one))
        assert choice == "required" or name == "set_light"
        jsonschema.validate(arguments, schemas[name])
    reply = ask(WEATHER, tools=TOOLS, tool_choice="none")
    assert not reply.choices[0].message.tool_calls


def test_it_keeps_to_a_schema(ask):
    places = {"type": "array", "items": PLACE, "maxItems": 1}
    for schema in (PLACE, {"enum": ["yes", "no"]}, places):
        reply = ask(WEATHER, response_format=format_of(schema), max_tokens=200)
        jsonschema.validate(json.loads(reply.choices[0].message.content), schema)


def test_it_stops_where_it_is_told(ask):
    whole = ask().choices[0].message.content
    word = whole.split()[2]
    reply = ask(stop=[word])
    assert reply.choices[0].message.content == whole[: whole.index(word)]
    assert reply.choices[0].finish_reason == "stop"
    reply = ask(max_tokens=3)
    assert (reply.choices[0].finish_reason, reply.usage.completion_tokens) == ("length", 3)


def test_several_answers_to_one_request(ask):
    reply = ask(n=3, max_tokens=8, temperature=1.0)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert all(choice.message.content for choice in reply.choices)


@pytest.mark.parametrize(
    ("options", "status", "word"),
    [
        ({"messages": [{"role": "user", "content": "again " * 3000}]}, 400, "token|context"),
        ({"messages": [{"role": "nobody", "content": "Hello"}]}, 400, "role|unknown|Unexpected"),
        ({"messages": []}, 400, "message"),
        ({"max_tokens": -5}, 400, "token"),
        ({"temperature": "warm"}, 400, "temperature"),
        ({"response_format": format_of({"type": "nonsense"})}, 400, "schema|type|grammar"),
    ],
)
def test_what_is_wrong_is_refused_with_a_reason(ask, options, status, word):
    with pytest.raises(openai.APIStatusError, match=f"(?i){word}") as caught:
        ask(**options)
    assert caught.value.status_code == status
    assert ask(max_tokens=2).choices


def test_eight_clients_lose_and_mix_up_nothing(ask):
    def own(number: int) -> bool:
        wanted = f"request-{number}"
        schema = {"type": "object", "properties": {"id": {"const": wanted}}, "required": ["id"]}
        schema["additionalProperties"] = False
        reply = ask(
            [{"role": "user", "content": f"This is {wanted}."}],
            response_format=format_of(schema),
            stream=number % 2 == 0,
        )
        if number % 2 == 0:
            text = "".join(c.choices[0].delta.content or "" for c in reply if c.choices)
        else:
            text = reply.choices[0].message.content
        return json.loads(text) == {"id": wanted}

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(own, range(200)))
    assert answers == [True] * 200


# ---- what ends badly

HOLDER = """
import sys, time
from helpers import backends
backend = backends.start(sys.argv[1])
print("up", flush=True)
time.sleep(600)
"""


def test_a_killed_kernel_leaves_nothing_behind(served):
    command = [sys.executable, "-c", HOLDER, served.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline().strip() == b"up"
        servers = psutil.Process(holder.pid).children(recursive=True)
        assert servers
        holder.kill()
    _, alive = psutil.wait_procs(servers, timeout=20)
    assert not alive


@pytest.mark.needs("posix")
def test_an_interrupt_while_starting_leaves_no_process(name):
    # Programs that a shell runs in the background ignore interrupts; a kernel does not.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{heed}; print('go', flush=True)\n{HOLDER}", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as holder:
        assert holder.stdout.readline() == b"go\n"
        family, deadline = set(), time.monotonic() + 30
        while holder.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(psutil.NoSuchProcess):
                family |= set(psutil.Process(holder.pid).children(recursive=True))
            if family:  # again and again: Python drops one that comes while it collects garbage
                holder.send_signal(signal.SIGINT)
                time.sleep(0.1)
        assert holder.poll() is not None
        assert family
        assert b"up" not in holder.stdout.read()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


@pytest.mark.needs("posix")
def test_a_hung_and_then_killed_server_is_an_error_in_time(served):
    before = set(psutil.Process().children(recursive=True))
    with backends.start(served.name) as hung:
        client = hung.openai(max_retries=0, timeout=2)
        servers = set(psutil.Process().children(recursive=True)) - before
        for process in servers:
            process.suspend()
        begun = time.monotonic()
        with pytest.raises(backends.BackendError, match="no answer"):
            hung.health()
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(model=hung.model, messages=HELLO)
        for process in servers:  # what the system does when memory runs out
            process.kill()
        with pytest.raises(openai.APIConnectionError):
            client.chat.completions.create(model=hung.model, messages=HELLO)
        with pytest.raises(backends.BackendError, match=r"has ended(.|\n)*memory runs out"):
            hung.health()
        assert time.monotonic() - begun < 20
    _, alive = psutil.wait_procs(servers, timeout=20)
    assert not alive


@pytest.mark.needs("linux")
def test_too_little_memory_is_an_error_and_leaves_no_process(name):
    import resource

    before = set(psutil.Process().children(recursive=True))
    begun = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(backends.start, name, timeout=60)
        while not started.done():
            for process in set(psutil.Process().children(recursive=True)) - before:
                with contextlib.suppress(ProcessLookupError):
                    resource.prlimit(process.pid, resource.RLIMIT_AS, (150_000_000, 150_000_000))
        with pytest.raises(backends.BackendError, match=r"end of its log|does not load"):
            started.result()
    assert time.monotonic() - begun < 60
    assert not set(psutil.Process().children(recursive=True)) - before


def test_a_taken_port_is_named(name):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(backends.BackendError, match=f"port {port} is taken"):
            backends.start(name, port=port)
