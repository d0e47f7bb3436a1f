"""The server with Ollama's API, asked by the real client."""

import hashlib
import json
import math
import re
import socket
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import ollama
import openai
import psutil
import pytest
import uvicorn

from helpers import model
from helpers.serving import app
from helpers.serving.gotemplate import jinja, rendered
from helpers.serving.library import Library
from helpers.serving.named import Name
from helpers.serving.ollama import Ollama
from helpers.serving.openai import OpenAI
from tests.test_backends import gone, servers

GREEDY = {"temperature": 0, "num_predict": 40}
HELLO = [{"role": "user", "content": "Hello!"}]
WEATHER = [{"role": "user", "content": "What is the weather like in Oslo?"}]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [
    {
        "type": "function",
        "function": {"name": "get_weather", "description": "Say the weather.", "parameters": CITY},
    }
]
LONG = {"type": "string", "minLength": 5000}  # an answer that takes a second
LIST = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, "


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server as a learner's is, with an empty folder of models, and the clients for it."""
    library = Library(tmp_path_factory.mktemp("ollama"), most=2, slots=4)
    config = uvicorn.Config(
        app.build(library, [Ollama, OpenAI]), port=0, log_level="warning", lifespan="on"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        client = ollama.Client(url, trust_env=False)
        yield SimpleNamespace(url=url, http=http, client=client, library=library)
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()
    assert not [one for one in servers() if any(":latest" in word for word in one.cmdline())]


@pytest.fixture
def client(served):
    return served.client


@pytest.fixture
def post(served):
    """What a POST to a path answers: the status, and the JSON."""

    def send(path: str, content, method: str = "POST"):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        response = served.http.request(method, path, content=body)
        return response.status_code, response.json()

    return send


def loaded(client) -> dict[str, object]:
    return {one.model: one for one in client.ps().models}


def processes(name: str) -> list[psutil.Process]:
    return [one for one in servers() if f"--alias={name}" in one.cmdline()]


def lines(served, path: str, content: dict) -> list[dict]:
    with served.http.stream("POST", path, json=content) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("application/x-ndjson")
        return [json.loads(line) for line in response.iter_lines()]


# ---- what is there


def test_the_courses_models_are_there_from_the_beginning(served, client):
    assert served.http.get("/").text == "Ollama is running"
    assert served.http.head("/").status_code == 200
    assert re.match(r"\d+\.\d+\.\d+", served.http.get("/api/version").json()["version"])
    models = {one.model: one for one in client.list().models}
    assert {"edge-slm:latest", "edge-slm:q8_0", "edge-slm:f16"} <= models.keys()
    one = models["edge-slm:latest"]
    assert one.size == model.gguf("edge-slm").stat().st_size
    assert (one.details.format, one.details.family) == ("gguf", "llama")
    assert one.details.quantization_level == "Q8_0"
    assert re.fullmatch(r"\d\.\d\dM", one.details.parameter_size)


def test_show_says_what_the_file_says(client):
    shown = client.show("EDGE-SLM")
    assert shown.capabilities == ["completion", "tools"]
    assert shown.modelinfo["llama.context_length"] == 2048
    assert shown.modelinfo["general.parameter_count"] > 4_000_000
    assert shown.modelinfo["tokenizer.ggml.tokens"] == []
    assert "<|im_start|>" in shown.template
    assert shown.modified_at.tzinfo


def test_show_says_more_when_asked(post):
    status, shown = post("/api/show", {"name": "edge-slm", "verbose": True})
    assert status == 200
    assert len(shown["model_info"]["tokenizer.ggml.tokens"]) == 4096
    assert {"name": "token_embd.weight", "type": "Q8_0", "shape": [256, 4096]} in shown["tensors"]


# ---- generate


def test_a_streamed_answer_is_the_whole_one_in_pieces(served, client):
    asked = {"model": "edge-slm", "prompt": "Hello!", "options": GREEDY}
    whole = client.generate(**asked)
    pieces = lines(served, "/api/generate", asked)
    assert "".join(piece["response"] for piece in pieces) == whole.response
    assert [piece["done"] for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert len(pieces) > 2
    last = pieces[-1]
    assert (last["response"], last["done_reason"], last["model"]) == ("", "stop", "edge-slm")
    assert last["context"] == whole.context
    for name in ("total_duration", "prompt_eval_duration", "eval_duration", "load_duration"):
        assert isinstance(last[name], int) and last[name] > 0
    assert last["eval_duration"] + last["prompt_eval_duration"] <= last["total_duration"]
    assert last["prompt_eval_count"] == 10
    made = datetime.fromisoformat(last["created_at"])
    assert abs((datetime.now(UTC) - made).total_seconds()) < 60


def test_context_carries_the_conversation(client):
    first = client.generate("edge-slm", "My name is Ada.", options=GREEDY)
    both = client.generate("edge-slm", "Hello!", context=first.context, options=GREEDY)
    alone = client.generate("edge-slm", "Hello!", options=GREEDY)
    assert both.prompt_eval_count == len(first.context) + alone.prompt_eval_count
    assert both.context[: len(first.context)] == first.context
    same = client.chat(
        "edge-slm",
        [
            {"role": "user", "content": "My name is Ada."},
            {"role": "assistant", "content": first.response},
            *HELLO,
        ],
        options=GREEDY,
    )
    assert same.message.content == both.response


def test_raw_template_and_system_make_the_prompt(client):
    text = "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n"
    plain = client.generate("edge-slm", "Hello!", options=GREEDY)
    raw = client.generate("edge-slm", text, raw=True, options=GREEDY)
    assert raw.response == plain.response
    assert raw.context is None
    go = "<|im_start|>user\n{{ .Prompt }}<|im_end|>\n<|im_start|>assistant\n{{ .Response }}"
    own = client.generate("edge-slm", "Hello!", template=go, options=GREEDY)
    assert own.response == plain.response
    system = client.generate("edge-slm", "Hello!", system="You are a pirate.", options=GREEDY)
    assert system.prompt_eval_count > plain.prompt_eval_count


@pytest.mark.parametrize("how", ["generate", "chat"])
def test_format_holds_the_answer(client, how):
    def ask(format):
        options = {"temperature": 0, "num_predict": 200}
        if how == "chat":
            asked = client.chat("edge-slm", WEATHER, format=format, options=options)
            return json.loads(asked.message.content)
        text = WEATHER[0]["content"]
        asked = client.generate("edge-slm", text, format=format, options=options)
        return json.loads(asked.response)

    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "pattern": "^[A-Z][a-z]{2,9}$"},
            "degrees": {"type": "integer", "minimum": 3, "maximum": 5},
        },
        "required": ["city", "degrees"],
        "additionalProperties": False,
    }
    answer = ask(schema)
    assert re.fullmatch("[A-Z][a-z]{2,9}", answer["city"]) and answer["degrees"] in {3, 4, 5}
    assert isinstance(ask("json"), dict)


def test_logprobs_are_of_each_token(client):
    reply = client.generate(
        "edge-slm", "Hello!", logprobs=True, top_logprobs=3, options={"temperature": 0}
    )
    assert "".join(one.token for one in reply.logprobs) == reply.response
    for one in reply.logprobs:
        assert one.logprob <= 0 and len(one.top_logprobs) == 3
        assert one.top_logprobs[0].logprob == max(top.logprob for top in one.top_logprobs)
    chat = client.chat("edge-slm", HELLO, logprobs=True, stream=True, options={"temperature": 0})
    tokens = [one for piece in chat for one in piece.logprobs or ()]
    assert [one.token for one in tokens] == [one.token for one in reply.logprobs]
    assert not tokens[0].top_logprobs


# ---- options


def test_options_act(client):
    def say(**options):
        options = {"num_predict": 30, **options}
        return client.generate("edge-slm", LIST, raw=True, options=options)

    assert say(temperature=0, num_predict=3).eval_count == 3
    assert say(temperature=0, num_predict=3).done_reason == "length"
    assert say(seed=1).response == say(seed=1).response
    assert len({say(seed=seed, temperature=2, top_k=0, top_p=1).response for seed in range(4)}) > 1
    greedy = say(temperature=0).response
    for same in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}, {"typical_p": 1.0, "top_k": 1}):
        assert say(seed=3, temperature=1.5, **same).response == greedy
    for other in ({"repeat_penalty": 1.9}, {"presence_penalty": 2.0}, {"frequency_penalty": 2.0}):
        assert say(temperature=0, **other).response != greedy
    assert say(temperature=0, repeat_penalty=1.9, repeat_last_n=0).response == greedy
    word = greedy[5:8]
    assert say(temperature=0, stop=[word]).response == greedy[: greedy.index(word)]
    assert say(temperature=0, mirostat=7, num_gpu=99, nonsense="x").response == greedy


def test_the_context_is_as_long_as_asked_for(client):
    client.generate("edge-slm", options={"num_ctx": 512})
    assert loaded(client)["edge-slm:latest"].context_length == 512
    reply = client.generate("edge-slm", LIST, raw=True, options={"num_ctx": 512, "num_predict": -1})
    assert reply.prompt_eval_count + reply.eval_count <= 512
    with pytest.raises(ollama.ResponseError) as error:
        client.generate("edge-slm", "word " * 600, options={"num_ctx": 512})
    assert error.value.status_code == 400
    assert "exceeds the available context size" in str(error.value)
    client.generate("edge-slm", options={"num_ctx": 99_999})  # no more than it was trained with
    assert loaded(client)["edge-slm:latest"].context_length == 2048


def test_old_messages_make_room_for_new_ones(client, post):
    long = [{"role": "user", "content": f"{n} " * 150} for n in range(40)]
    messages = [{"role": "system", "content": "Be brief."}, *long, *HELLO]
    reply = client.chat("edge-slm", messages, options=GREEDY)
    assert 1000 < reply.prompt_eval_count < 2048
    asked = {"model": "edge-slm", "messages": messages, "truncate": False}
    status, answer = post("/api/chat", asked)
    assert status == 400 and "exceeds" in answer["error"]


# ---- chat


def test_chat_streams_and_calls_tools(client):
    reply = client.chat("edge-slm", WEATHER, tools=TOOLS, options=GREEDY)
    (call,) = reply.message.tool_calls
    assert (call.function.name, call.function.arguments) == ("get_weather", {"city": "Oslo"})
    assert (reply.message.content, reply.done_reason) == ("", "stop")
    *pieces, last = client.chat("edge-slm", WEATHER, tools=TOOLS, stream=True, options=GREEDY)
    assert [one.message.tool_calls[0].function for one in pieces] == [call.function]
    assert last.done and not last.message.tool_calls
    result = {"role": "tool", "tool_name": "get_weather", "content": '{"sky":"rain","celsius":7}'}
    said = client.chat("edge-slm", [*WEATHER, reply.message, result], tools=TOOLS, options=GREEDY)
    assert "rain" in said.message.content


def test_a_python_function_is_a_tool(client):
    def get_weather(city: str) -> str:
        """Say the weather.

        Args:
            city: The city
        """
        return f"rain in {city}"

    reply = client.chat("edge-slm", WEATHER, tools=[get_weather], options=GREEDY)
    assert get_weather(**reply.message.tool_calls[0].function.arguments) == "rain in Oslo"


def test_eight_clients_at_once_are_not_mixed_up(served):
    def ask(number: int) -> str:
        schema = {"const": f"request {number}"}
        own = ollama.Client(served.url, trust_env=False)
        pieces = own.chat("edge-slm", HELLO, format=schema, stream=True, options=GREEDY)
        return json.loads("".join(piece.message.content for piece in pieces))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(40)))
    assert answers == [f"request {number}" for number in range(40)]


# ---- embeddings


def test_embeddings_tell_near_from_far(client, post):
    texts = ["The weather in Oslo", "The weather in Bergen", "refund order 7"]
    reply = client.embed("edge-slm", texts)
    near, other, far = reply.embeddings
    assert reply.prompt_eval_count > 6 and reply.total_duration > 0
    assert all(math.isclose(sum(x * x for x in one), 1, rel_tol=1e-3) for one in (near, other, far))

    def close(one, two):
        return sum(x * y for x, y in zip(one, two, strict=True))

    assert close(near, other) > close(near, far)
    assert client.embeddings("edge-slm", texts[0]).embedding == pytest.approx(near, abs=1e-3)
    short = client.embed("edge-slm", texts[0], dimensions=8).embeddings[0]
    assert len(short) == 8 and math.isclose(sum(x * x for x in short), 1)
    assert client.embed("edge-slm", "word " * 3000).prompt_eval_count <= 2048
    long = {"model": "edge-slm", "input": "word " * 3000, "truncate": False}
    assert post("/api/embed", long) == (
        400,
        {"error": "the input length exceeds the context length"},
    )
    assert post("/api/embed", {"model": "edge-slm"})[1]["embeddings"] == []
    both = processes("edge-slm:latest")
    assert len(both) == 2  # one writes, one computes embeddings
    client.generate("edge-slm", keep_alive=0)
    assert all(gone(process) for process in both)
    status, answer = post("/api/embed", {"model": "nobody", "input": "x"})
    assert status == 404 and "try pulling it first" in answer["error"]


# ---- loading and unloading


def test_a_model_is_loaded_kept_and_ended(client):
    assert client.generate("edge-slm", keep_alive="1h").done_reason == "load"
    left = loaded(client)["edge-slm:latest"].expires_at - datetime.now(UTC)
    assert 3590 < left.total_seconds() <= 3601
    (process, *_) = processes("edge-slm:latest")
    client.generate("edge-slm", "Hello!", keep_alive=-1, options=GREEDY)
    assert loaded(client)["edge-slm:latest"].expires_at.year > 2200
    again = client.generate("edge-slm", "Hello!", options=GREEDY)
    assert again.load_duration < 100_000_000
    assert process.is_running()
    assert client.generate("edge-slm", keep_alive=0).done_reason == "unload"
    assert gone(process)
    assert "edge-slm:latest" not in loaded(client)
    assert client.chat("edge-slm", []).done_reason == "load"
    first = client.chat("edge-slm", HELLO, keep_alive="300ms", options=GREEDY)
    assert first.message.content
    (process, *_) = processes("edge-slm:latest")
    assert gone(process)
    late = client.generate("edge-slm", "Hello!", keep_alive="5m", options=GREEDY)
    assert late.load_duration > 100_000_000


def test_the_one_not_used_for_longest_makes_room(client):
    client.generate("edge-slm", keep_alive="5m")
    client.generate("edge-slm-nano", keep_alive="5m")
    client.generate("edge-slm", "Hello!", options=GREEDY)
    (nano,) = processes("edge-slm-nano:latest")
    client.generate("edge-slm:f16")
    assert gone(nano)
    assert loaded(client).keys() == {"edge-slm:latest", "edge-slm:f16"}
    client.generate("edge-slm:f16", keep_alive=0)


# ---- making models


@pytest.fixture
def sent(served):
    """The F16 file as a blob, sent by the real client."""
    digest = served.client.create_blob(model.gguf("edge-slm", "F16"))
    assert served.http.head(f"/api/blobs/{digest}").status_code == 200
    return digest


@pytest.mark.needs("inside")
def test_a_file_is_sent_quantized_run_and_deleted(served, client, sent):
    progress = list(
        client.create("small", files={"edge-slm.gguf": sent}, quantize="q4_K_M", stream=True)
    )
    said = [one.status for one in progress]
    assert said[:2] == ["parsing GGUF", "validating GGUF model"]
    assert said[-2:] == ["writing manifest", "success"]
    steps = [one for one in progress if one.status == "quantizing F16 model to Q4_K_M"]
    assert steps[-1].completed == steps[-1].total == model.gguf("edge-slm", "F16").stat().st_size
    assert client.show("small").details.quantization_level == "Q4_K_M"
    call = client.chat("small", WEATHER, tools=TOOLS, options=GREEDY).message.tool_calls[0]
    assert call.function.arguments == {"city": "Oslo"}
    (process, *_) = processes("small:latest")
    client.delete("small")
    assert gone(process)
    with pytest.raises(ollama.ResponseError, match="model 'small' not found"):
        client.show("small")
    with pytest.raises(ollama.ResponseError, match="only supported for F16"):
        client.create("small", from_="edge-slm:q8_0", quantize="q4_K_M")
    with pytest.raises(ollama.ResponseError, match="unsupported quantization"):
        client.create("small", from_="edge-slm:f16", quantize="tiny")


def test_a_model_of_another_has_words_of_its_own(served, client, post):
    made = client.create(
        "Me/Pirate",
        from_="edge-slm",
        system="You are a pirate.",
        parameters={"num_predict": 5, "stop": ["!"], "temperature": 0},
        messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Arr."}],
        license=["MIT"],
    )
    assert made.status == "success"
    shown = client.show("me/pirate:latest")
    assert shown.details.parent_model == "edge-slm:latest"
    assert "num_predict                    5" in shown.parameters
    assert post("/api/show", {"model": "me/pirate"})[1]["system"] == "You are a pirate."
    assert 'SYSTEM """You are a pirate."""' in shown.modelfile
    assert shown.license == "MIT"
    assert "Me/Pirate:latest" in {one.model for one in client.list().models}
    reply = client.chat("me/pirate", HELLO)
    own = [
        {"role": "system", "content": "You are a pirate."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Arr."},
    ]
    plain = client.chat("edge-slm", [*own, *HELLO], options={"temperature": 0, "num_predict": 5})
    assert reply.message.content == plain.message.content.split("!")[0]
    assert reply.prompt_eval_count == plain.prompt_eval_count
    # The other door serves the same model, with the same words.
    other = openai.OpenAI(base_url=served.url + "/v1", api_key="x")
    chat = other.chat.completions.create(model="me/pirate", messages=HELLO, temperature=0)
    assert chat.choices[0].message.content == reply.message.content
    assert chat.usage.prompt_tokens == reply.prompt_eval_count
    client.copy("me/pirate", "parrot:v2")
    client.delete("me/pirate")
    assert client.chat("parrot:v2", HELLO).message.content == reply.message.content
    client.delete("parrot:v2")
    assert not list(served.library._blobs.glob("partial-*"))


def test_a_template_of_gos_is_used_and_can_fill_a_gap(client):
    go = (
        "{{ if .Suffix }}<PRE>{{ .Prompt }}<SUF>{{ .Suffix }}<MID>{{ else }}"
        "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}"
        "<|im_start|>assistant\n{{ end }}"
    )
    client.create("coder", from_="edge-slm", template=go)
    assert client.show("coder").capabilities == ["completion", "insert"]
    assert client.show("coder").template == go
    chat = client.chat("coder", HELLO, options=GREEDY)
    assert chat.message.content == client.chat("edge-slm", HELLO, options=GREEDY).message.content
    filled = client.generate("coder", "def f(", suffix="return 1", options=GREEDY)
    raw = client.generate("edge-slm", "<PRE>def f(<SUF>return 1<MID>", raw=True, options=GREEDY)
    assert filled.response == raw.response
    with pytest.raises(ollama.ResponseError, match="coder:latest does not support tools"):
        client.chat("coder", WEATHER, tools=TOOLS)
    client.delete("coder")


@pytest.mark.parametrize("text", ["", "[]", '{"name": "../x"}', '{"name": "bad", "digest": 1}'])
def test_a_damaged_manifest_is_no_model(served, client, text):
    path = served.library._manifests / Name.read("bad").file
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ollama.ResponseError, match="model 'bad' not found"):
        client.show("bad")
    assert "bad:latest" not in {one.model for one in client.list().models}
    client.create("bad", from_="edge-slm")
    assert client.show("bad").details.parent_model == "edge-slm:latest"
    client.delete("bad")


def test_pull_brings_back_what_was_deleted(served, client, post):
    client.delete("edge-slm-nano:f16")
    with pytest.raises(ollama.ResponseError, match="not found") as error:
        client.chat("edge-slm-nano:f16", HELLO)
    assert error.value.status_code == 404
    assert "edge-slm-nano:f16" not in {one.model for one in client.list().models}
    progress = list(client.pull("edge-slm-nano:f16", stream=True))
    size = model.gguf("edge-slm-nano", "F16").stat().st_size
    steps = [one for one in progress if one.total]
    assert {one.total for one in steps} == {size} and steps[-1].completed == size
    assert [one.status for one in progress if not one.total] == [
        "pulling manifest",
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    assert client.chat("edge-slm-nano:f16", HELLO, options=GREEDY).message.content
    assert client.pull("edge-slm-nano:f16").status == "success"
    client.generate("edge-slm-nano:f16", keep_alive=0)
    said = lines(served, "/api/pull", {"name": "llama3.2"})
    assert said == [
        {"status": "pulling manifest"},
        {"error": "pull model manifest: file does not exist"},
    ]
    with pytest.raises(ollama.ResponseError, match="file does not exist"):
        client.pull("llama3.2")
    with pytest.raises(ollama.ResponseError, match="no registry"):
        client.push("edge-slm")


# ---- what is refused

CUT = {"function": {"name": "f", "arguments": "{"}}
REFUSED = [
    ("/api/chat", b"{", 400, "not JSON"),
    ("/api/chat", b"", 400, "not JSON"),
    ("/api/chat", b"[]", 400, "not a JSON object"),
    ("/api/chat", b'{"model": "\xff"}', 400, "not JSON"),
    ("/api/chat", {}, 400, "model is required"),
    ("/api/chat", {"model": "nobody"}, 404, "model 'nobody' not found"),
    ("/api/chat", {"model": "registry.example/a/b"}, 404, "not found"),
    ("/api/chat", {"model": "../edge-slm"}, 400, "invalid model name"),
    ("/api/chat", {"model": "edge-slm:../../f16"}, 400, "invalid model name"),
    ("/api/chat", {"model": "edge-slm\0"}, 400, "invalid model name"),
    ("/api/chat", {"model": "a" * 500}, 400, "invalid model name"),
    ("/api/chat", {"model": 7}, 400, "model"),
    ("/api/chat", {"messages": "hello"}, 400, "messages"),
    ("/api/chat", {"messages": [{"content": "x"}]}, 400, "role"),
    ("/api/chat", {"messages": [{"role": "martian", "content": "x"}]}, 400, "unknown role martian"),
    ("/api/chat", {"messages": [{"role": "user", "content": 7}]}, 400, "content"),
    ("/api/chat", {"tools": [{"function": {}}]}, 400, "name"),
    ("/api/chat", {"messages": HELLO, "format": "xml"}, 400, 'invalid format: "xml"'),
    ("/api/chat", {"messages": HELLO, "format": {"type": "x"}}, 400, "JSON Schema"),
    ("/api/chat", {"messages": HELLO, "format": {"not": {}}}, 400, "JSON Schema"),
    ("/api/chat", {"messages": HELLO, "format": CITY, "tools": TOOLS}, 400, "leave out one"),
    ("/api/chat", {"messages": HELLO, "think": True}, 400, "does not support thinking"),
    ("/api/chat", {"messages": HELLO, "think": "hard"}, 400, "think"),
    ("/api/chat", {"messages": HELLO, "think": [1]}, 400, "think"),
    ("/api/chat", {"messages": HELLO, "top_logprobs": 99}, 400, "between 0 and 20"),
    (
        "/api/chat",
        {"messages": [{"role": "user", "content": "x", "images": ["aGk="]}]},
        400,
        "registry.ollama.ai/library/edge-slm:latest does not support vision",
    ),
    (
        "/api/chat",
        {"messages": [{"role": "assistant", "tool_calls": [CUT]}]},
        400,
        "arguments",
    ),
    (
        "/api/chat",
        {"messages": HELLO, "tools": [{"function": {"name": "f", "parameters": {"type": "x"}}}]},
        400,
        "unrecognized type x",
    ),
    ("/api/generate", {"prompt": "x", "suffix": "y"}, 400, "does not support insert"),
    ("/api/generate", {"prompt": "x", "images": ["aGk="]}, 400, "does not support vision"),
    ("/api/generate", {"prompt": "x", "raw": True, "system": "y"}, 400, "raw mode"),
    ("/api/generate", {"prompt": "x", "template": "{{ if }}"}, 400, "template error"),
    ("/api/generate", {"prompt": "x", "context": [10**6]}, 400, "invalid tokens"),
    ("/api/generate", {"prompt": "x", "context": ["x"]}, 400, "context"),
    ("/api/generate", {"prompt": "x", "keep_alive": "soon"}, 400, 'invalid duration "soon"'),
    ("/api/generate", {"prompt": "x", "keep_alive": []}, 400, "keep_alive"),
    ("/api/generate", {"prompt": "x", "options": []}, 400, "options"),
    ("/api/generate", {"prompt": "x", "options": {"top_k": "x"}}, 400, "must be of type integer"),
    ("/api/generate", {"prompt": "x", "options": {"temperature": True}}, 400, "of type float32"),
    ("/api/generate", {"prompt": "x", "options": {"stop": "x"}}, 400, "must be of type array"),
    ("/api/generate", {"prompt": "x", "options": {"repeat_penalty": 0}}, 400, "more than 0"),
    ("/api/generate", b'{"model":"edge-slm","prompt":"x","options":{"top_p":NaN}}', 400, "top_p"),
    ("/api/generate", b'{"model":"edge-slm","format":' + b"[" * 9999, 400, "not JSON"),
    ("/api/generate", {"prompt": "word " * 3000}, 400, "exceeds the available context size"),
    ("/api/show", {"model": ""}, 400, "model is required"),
    ("/api/show", {"model": "nobody"}, 404, "model 'nobody' not found"),
    ("/api/embed", {"input": [1]}, 400, "input"),
    ("/api/embed", {"input": "x", "dimensions": -1}, 400, "dimensions"),
    ("/api/copy", {"source": "/etc/passwd", "destination": "x"}, 400, 'source "/etc/passwd" is'),
    ("/api/copy", {"source": "nobody", "destination": "x"}, 404, 'model "nobody" not found'),
    ("/api/copy", {"source": "edge-slm", "destination": "../x"}, 400, 'destination "../x" is'),
    ("/api/create", {"model": "../x", "from": "edge-slm"}, 400, "invalid model name"),
    ("/api/create", {"model": "x"}, 400, "neither 'from' or 'files' was specified"),
    ("/api/create", {"model": "x", "from": "../../y"}, 400, "invalid model name"),
    ("/api/create", {"model": "x", "from": "nobody"}, 404, "file does not exist"),
    ("/api/create", {"model": "x", "files": {}}, 400, "no files provided"),
    ("/api/create", {"model": "x", "files": {"../x.gguf": "sha256:" + "0" * 64}}, 400, "relative"),
    ("/api/create", {"model": "x", "files": {"x": "sha256:0/../.."}}, 400, "digest format"),
    ("/api/create", {"model": "x", "files": {"x": "sha256:" + "0" * 64}}, 400, "not found"),
    ("/api/create", {"model": "x", "from": "edge-slm", "adapters": {"a": "b"}}, 400, "adapters"),
    ("/api/create", {"model": "x", "from": "edge-slm", "template": "{{"}, 400, "template error"),
    (
        "/api/create",
        {"model": "x", "from": "edge-slm", "parameters": {"top_k": "many"}},
        400,
        'option "top_k" must be of type integer',
    ),
    ("/api/pull", {"model": "../x"}, 400, "invalid model name"),
    ("/api/push", {"model": "nobody"}, 404, "not found"),
]


@pytest.mark.parametrize(("path", "content", "status", "words"), REFUSED)
def test_bad_requests_are_refused_in_words(post, path, content, status, words):
    if isinstance(content, dict) and path not in {"/api/show", "/api/copy"}:
        content = {"model": "edge-slm", "stream": False} | content if content else content
    begun = time.monotonic()
    assert post(path, content)[0] == status
    assert words in post(path, content)[1]["error"]
    assert time.monotonic() - begun < 10


def test_what_is_deleted_must_be_there(post):
    assert post("/api/delete", {"name": "nobody"}, "DELETE")[0] == 404
    status, answer = post("/api/delete", {"model": "../x"}, "DELETE")
    assert (status, answer["error"]) == (400, 'name "../x" is invalid')


@pytest.mark.parametrize("path", ["/api/no", "/api/blobs/..%2f..%2fx", "/api/../../etc/passwd"])
def test_no_path_reaches_the_disk(served, path):
    assert served.http.get(path).status_code in {404, 405}


def test_blobs_are_what_their_digest_says(served):
    digest = "sha256:" + hashlib.sha256(b"other").hexdigest()
    for path in (f"/api/blobs/{digest}", f"/api/blobs/{digest.replace(':', '-')}"):
        refused = served.http.post(path, content=b"some")
        assert refused.status_code == 400 and "digest mismatch" in refused.json()["error"]
    assert served.http.head(f"/api/blobs/{digest}").status_code == 404
    assert served.http.post("/api/blobs/sha256:x", content=b"").status_code == 400
    assert not list(served.library._blobs.glob("partial-*"))
    for status in (201, 200):
        assert served.http.post(f"/api/blobs/{digest}", content=b"other").status_code == status
    served.library.largest, before = 3, served.library.largest
    assert served.http.post(f"/api/blobs/sha256:{'0' * 64}", content=b"long").status_code == 413
    served.library.largest = before


def test_a_client_that_leaves_while_it_sends_leaves_nothing(served):
    place = urllib.parse.urlsplit(served.url)
    head = f"POST /api/blobs/sha256:{'1' * 64} HTTP/1.1\r\nHost: {place.netloc}\r\n"
    with socket.create_connection((place.hostname, place.port)) as client:
        client.sendall(f"{head}Content-Length: 1000\r\n\r\nGGUF".encode())
        while not list(served.library._blobs.glob("partial-*")):
            time.sleep(0.01)
    end = time.monotonic() + 5
    while list(served.library._blobs.glob("partial-*")) and time.monotonic() < end:
        time.sleep(0.02)
    assert not list(served.library._blobs.glob("partial-*"))
    assert served.http.head(f"/api/blobs/sha256:{'1' * 64}").status_code == 404


def broken_files() -> dict[str, tuple[bytes, str]]:
    whole = model.gguf("edge-slm").read_bytes()
    head = b"GGUF" + (3).to_bytes(4, "little")
    many = (2**40).to_bytes(8, "little")
    array = (1).to_bytes(8, "little") + b"a" + (9).to_bytes(4, "little") + bytes(4) + many
    llama = b"llama"  # the first one is general.architecture's
    return {
        "not one": (b"hello", "not in GGUF format"),
        "empty": (b"", "not in GGUF format"),
        "its first bytes": (b"GGUF", "not a whole GGUF file"),
        "cut off": (whole[:100_000], "not a whole GGUF file"),
        "cut off at its end": (whole[:-50_000], "weights are missing"),
        "many values": (head + many + many, "cannot have so many"),
        "a long array": (head + bytes(8) + (1).to_bytes(8, "little") + array, "middle of an array"),
        "without a kind": (whole.replace(b"general.arch", b"general.narc", 1), "what model it is"),
        "of no known kind": (whole.replace(llama, b"lxxma", 1), "llama.cpp does not load"),
    }


@pytest.mark.parametrize("what", broken_files())
def test_a_broken_file_makes_no_model(served, client, what):
    content, words = broken_files()[what]
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    assert served.http.post(f"/api/blobs/{digest}", content=content).status_code < 300
    with pytest.raises(ollama.ResponseError, match=words) as error:
        client.create("broken", files={"x.gguf": digest})
    assert error.value.status_code == 400
    assert "broken:latest" not in {one.model for one in client.list().models}


# ---- what goes wrong on the way


def test_a_process_killed_in_mid_answer_is_told_and_replaced(client):
    stream = client.generate("edge-slm", LIST, raw=True, stream=True, format=LONG)
    next(stream)
    for process in processes("edge-slm:latest"):
        process.kill()
    with pytest.raises(ollama.ResponseError, match="has ended"):
        list(stream)
    assert client.chat("edge-slm", HELLO, options=GREEDY).message.content


def test_clients_that_leave_free_their_place(served, client):
    def leave():
        asked = {"model": "edge-slm", "prompt": LIST, "format": LONG}
        with served.http.stream("POST", "/api/generate", json=asked) as response:
            next(response.iter_lines())

    for _ in range(6):  # more than there are slots
        leave()
    end = time.monotonic() + 5
    while served.library.load() != (0, 0) and time.monotonic() < end:
        time.sleep(0.02)
    assert served.library.load() == (0, 0)
    (one,) = [x for x in served.library.running() if x.model.name == "edge-slm:latest"]
    slots = httpx.get(one.engine._url + "/slots", trust_env=False).json()
    assert not any(slot["is_processing"] for slot in slots)


def test_clients_that_leave_while_a_model_loads_leave_it_to_others(served, client):
    client.generate("edge-slm-nano", keep_alive=0)
    with pytest.raises(httpx.ReadTimeout):
        served.http.post("/api/generate", json={"model": "edge-slm-nano"}, timeout=0.1)
    assert client.generate("edge-slm-nano", "Hello!", options=GREEDY).response
    assert len(processes("edge-slm-nano:latest")) == 1
    client.generate("edge-slm-nano", keep_alive=0)


def test_the_other_door_serves_the_same_models(served):
    other = openai.OpenAI(base_url=served.url + "/v1", api_key="x", max_retries=0)
    assert "edge-slm:latest" in {one.id for one in other.models.list().data}
    reply = other.chat.completions.create(
        model="edge-slm", messages=WEATHER, tools=TOOLS, temperature=0, max_tokens=40
    )
    call = reply.choices[0].message.tool_calls[0].function
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})
    text = other.completions.create(model="edge-slm", prompt=LIST, temperature=0, max_tokens=5)
    assert text.choices[0].text
    vectors = other.embeddings.create(model="edge-slm", input=["a", "b"], encoding_format="float")
    assert [len(one.embedding) for one in vectors.data] == [256, 256]
    with pytest.raises(openai.NotFoundError):
        other.chat.completions.create(model="nobody", messages=HELLO)
    assert "course_prompt_tokens_total" in served.http.get("/metrics").text


# ---- small things


def test_names_are_ollamas():
    for text, shown in {
        "a": "a:latest",
        "A/b:C": "A/b:C",
        "registry.ollama.ai/library/a:b": "a:b",
        "hf.co/a/b:c": "hf.co/a/b:c",
        "_a.b-c": "_a.b-c:latest",
    }.items():
        assert str(Name.read(text)) == shown
    for text in ["", ".", "..", "a:", ":a", "/a", "a/", "a//b", "a b", "a/../b", "a\\b", "-a", "ä"]:
        assert Name.read(text) is None, text
    assert Name.read("Nul").file == "library+nul+latest.json"


def test_gos_templates_are_read():
    messages = [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
    ]
    for template, text in {
        "{{ .Prompt }}": "onetwothree",
        "{{ if .System }}[{{ .System }}] {{ end }}<{{ .Prompt }}>{{ .Response }};": (
            "[S] <one>two;<three>"
        ),
        "{{- range $i, $m := .Messages }}{{ $i }} {{ $m.Role -}} \n : {{ .Content }}\n{{ end }}": (
            "0 system: S\n1 user: one\n2 assistant: two\n3 user: three\n"
        ),
        '{{ range .Messages }}{{ if and (ne .Role "system") (not (eq .Role "user" "tool")) }}'
        "{{ json .Content }}{{ else if eq .Role `system` }}-{{ else }}.{{ end }}{{ end }}": (
            '-."two".'
        ),
        "{{/* said */}}{{ with .System }}{{ . }}{{ else }}none{{ end }}{{ len .Messages }}": "S4",
        "{{ $end := slice .Messages 3 }}{{ range $end }}{{ .Content | json }}{{ end }}": '"three"',
    }.items():
        assert rendered(jinja(template), messages=messages, tools=None) == text
