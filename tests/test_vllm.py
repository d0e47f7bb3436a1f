"""vLLM: what `tests/test_every_backend.py` does not ask of every runtime, with one server."""

import json
import shutil
import subprocess
import sys

import jsonschema
import psutil
import pytest

from helpers import backends, model
from helpers.backends import vllm
from helpers.serving.text import Text
from tests.conftest import post
from tests.test_runtimes import MORE, PROMPTS, first_difference
from tools import vllm as tool

pytestmark = pytest.mark.needs("vllm")

WEATHER = [{"role": "user", "content": "What is the weather like in Oslo?"}]
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
# Nothing that the model would say by itself.
ODD = {
    "type": "object",
    "properties": {
        "level": {"type": "integer", "minimum": 10, "maximum": 20},
        "room": {"enum": ["k7", "q9"]},
        "on": {"type": "boolean"},
    },
    "required": ["level", "room", "on"],
    "additionalProperties": False,
}


def function(name: str, parameters: dict, **more) -> dict:
    content = {"name": name, "description": "Do it.", "parameters": parameters} | more
    return {"type": "function", "function": content}


@pytest.fixture(scope="module")
def served():
    with vllm.start() as started:
        yield started


@pytest.fixture
def ask(served):
    client = served.openai(max_retries=0, timeout=120)

    def create(messages=WEATHER, **options):
        options = {"temperature": 0, "max_tokens": 100} | options
        return client.chat.completions.create(model=served.model, messages=messages, **options)

    return create


# ---- answering


def test_it_chats_and_streams(served, ask):
    assert served.health() == "ok"
    hello = [{"role": "user", "content": "Hello!"}]
    said = ask(hello).choices[0].message.content
    assert said
    chunks = ask(hello, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == said


def test_it_reads_the_same_tokens_and_answers_as_llama_cpp(served):
    """20 prompts, 64 tokens; other tokens only where the best two are as good as equal."""
    text, tools, gaps = Text(model.folder()), [function("lookup", CITY)], []
    with backends.start("llama.cpp", quant="F16", slots=1) as exact:
        for said in PROMPTS + MORE:
            messages = [{"role": "user", "content": said}]
            body = {"model": served.model, "messages": messages, "tools": tools}
            told = post(served, "/tokenize", body | {"add_generation_prompt": True})
            assert told["tokens"] == text.encode(text.render(messages, tools))
            prompt = text.encode(text.render(messages))
            reply = served.openai().completions.create(
                model=served.model,
                prompt=prompt,
                max_tokens=64,
                temperature=0,
                extra_body={"return_token_ids": True},
            )
            got = [token for token in reply.choices[0].token_ids if token not in text.ends]
            gaps.append(first_difference(exact, prompt, got, text.ends))
    assert all(gap is None or gap < 1e-3 for gap in gaps)
    assert gaps.count(None) >= 17


def test_a_tool_call_comes_back_as_one(ask):
    reply = ask(tools=[function("get_weather", CITY, description="Say the weather.")])
    assert reply.choices[0].finish_reason == "tool_calls"
    call = reply.choices[0].message.tool_calls[0].function
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})


@pytest.mark.parametrize("strict", [None, True])
@pytest.mark.parametrize("choice", ["required", "named"])
def test_a_forced_call_fits_its_schema(ask, choice, strict):
    # By default vLLM 0.32 holds a required or a named call to its envelope and lets the arguments
    # be any JSON (100, "]." and false came), unless the tool says "strict": true. Started with
    # --tool-strict-level parameter, as here, it takes every tool for strict, in "auto" too.
    named = {"type": "function", "function": {"name": "set_lamp"}}
    for text in ("Hello!", "Set the lamp in the kitchen to 90 percent.", "Is it raining?"):
        reply = ask(
            [{"role": "user", "content": text}],
            tools=[function("set_lamp", ODD, **({"strict": True} if strict else {}))],
            tool_choice=named if choice == "named" else choice,
            parallel_tool_calls=False,
        )
        (call,) = reply.choices[0].message.tool_calls
        assert call.function.name == "set_lamp"
        jsonschema.validate(json.loads(call.function.arguments), ODD)
        # As with OpenAI's own API, a call that was named ends with "stop".
        assert reply.choices[0].finish_reason == {"required": "tool_calls", "named": "stop"}[choice]


def test_a_schema_is_kept_without_a_space_too_many(ask):
    schema = {"type": "object", "properties": {"lamp": ODD}, "required": ["lamp"]}
    for text in ("Hello!", "I love this phone!"):
        reply = ask(
            [{"role": "user", "content": text}],
            response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
        )
        said = reply.choices[0].message.content
        jsonschema.validate(json.loads(said), schema)
        assert not set(said) & set(" \n\t")


def test_what_it_knows_no_more_is_an_error_and_not_passed_over(ask):
    with pytest.raises(backends.BackendError, match="guided_json no more"):
        ask(extra_body={"guided_json": CITY})
    reply = ask(extra_body={"structured_outputs": {"choice": ["rain", "snow"]}})
    assert reply.choices[0].message.content in {"rain", "snow"}


def test_it_counts_and_a_prompt_seen_before_is_not_read_again(served, ask):
    long = [{"role": "user", "content": "The hotel has a pool and a garden. " * 40}]
    ask(long, max_tokens=2)
    before = served.prometheus()
    reply = ask(long, max_tokens=2)
    after = served.prometheus()
    hits, queries = (
        after[name] - before[name]
        for name in ("vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total")
    )
    assert queries == reply.usage.prompt_tokens
    assert 0.5 < hits / queries < 1  # whole blocks of 128 tokens, and never the last token
    assert served.metrics()["completion_tokens"] >= 4


def test_its_memory_is_that_of_all_its_processes(served):
    family = psutil.Process().children(recursive=True)
    engine = next(one for one in family if one.name() == "VLLM::EngineCore")
    assert engine.memory_info().rss < served.memory() < 4e9


# ---- failing


def test_what_is_no_models_folder_is_named(tmp_path):
    for name in ("edge-slim", str(tmp_path), "qwen2.5-0.5b.gguf"):
        with pytest.raises(model.ModelError, match="of its Hugging Face folder"):
            vllm.start(name)


def test_a_broken_folder_is_named_with_vllms_own_words(tmp_path):
    folder = tmp_path / "mein Mödell"
    shutil.copytree(model.folder("edge-slm"), folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5_000_000])
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(backends.BackendError, match="SafetensorError: Error while deserializing"):
        vllm.start(str(folder))
    _, alive = psutil.wait_procs(set(psutil.Process().children(recursive=True)) - before, 20)
    assert not alive


def test_a_server_that_is_not_ready_in_time_is_ended():
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(backends.BackendError, match="was not ready within 2 s"):
        vllm.start(timeout=2)
    _, alive = psutil.wait_procs(set(psutil.Process().children(recursive=True)) - before, 20)
    assert not alive


def test_too_much_context_is_named():
    with pytest.raises(backends.BackendError, match="max_model_len"):
        vllm.start(context=4096)


def test_a_killed_engine_is_seen_and_leaves_no_process():
    before = set(psutil.Process().children(recursive=True))
    with vllm.start() as started:
        family = set(psutil.Process().children(recursive=True)) - before
        next(one for one in family if one.name() == "VLLM::EngineCore").kill()
        psutil.wait_procs(family, timeout=20)
        with pytest.raises(backends.BackendError, match=r"its process has ended(.|\n)*memory"):
            started.health()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


# ---- parents that go away

HOLDER = """
import sys, time
from helpers.backends import vllm
print("go", flush=True)
backend = vllm.start()
print("up", flush=True)
time.sleep(600)
"""


def test_a_parent_killed_while_it_starts_leaves_no_process():
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline().strip() == b"go"
        family = wait_for_vllm(holder.pid)
        holder.kill()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


def test_a_killed_supervisor_leaves_no_process():
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE) as holder:
        assert [holder.stdout.readline().strip() for _ in range(2)] == [b"go", b"up"]
        family = psutil.Process(holder.pid).children(recursive=True)
        family[0].kill()
        holder.kill()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


def wait_for_vllm(parent: int) -> list[psutil.Process]:
    """The supervisor, vLLM and its guard, as soon as all three run."""
    while len(family := psutil.Process(parent).children(recursive=True)) < 3:
        assert psutil.pid_exists(parent)
    return family


# ---- the environment


def test_the_environment_is_made_once(capsys):
    tool.main()
    assert capsys.readouterr().out == f"it is there: {vllm.environment()}\n"


def test_half_an_environment_is_none_and_a_failure_leaves_none(new_cache, monkeypatch):
    assert "python -m tools vllm" in vllm.missing()
    (vllm.environment() / "bin").mkdir(parents=True)
    assert "python -m tools vllm" in vllm.missing()
    monkeypatch.setattr(tool.vllm, "VERSION", "0.0.1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SystemExit, match=r"failed:(.|\n)*No matching distribution"):
        tool.main()
    assert not vllm.environment().exists()


def test_other_systems_are_told_to_attach(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "OPENAI_BASE_URL" in vllm.missing()
    with pytest.raises(SystemExit, match="OPENAI_BASE_URL"):
        tool.main()
