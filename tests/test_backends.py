"""Backends: they start, answer, fail with a name, and never leave a process behind."""

import contextlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import gguf
import numpy as np
import openai
import psutil
import pytest

from helpers import backends, measure, model
from helpers.backends import child, llama_cpp
from tests.conftest import free_port, post

HELLO = [{"role": "user", "content": "Hello!"}]


def servers(process: psutil.Process | None = None) -> list[psutil.Process]:
    """The llama.cpp servers among a process's children; this process's without one."""
    found = []
    for other in (process or psutil.Process()).children(recursive=True):
        try:
            # On Windows a virtual environment's python starts the real one: take the latter.
            if "helpers.backends.llama_cpp" in other.cmdline() and not other.children():
                found.append(other)
        except psutil.Error:
            pass
    return found


def gone(process: psutil.Process, seconds: float = 10) -> bool:
    """Whether the process ends within the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def port_of(backend) -> int:
    return int(backend.base_url.split(":")[2].removesuffix("/v1"))


# ---- answering


def test_it_is_healthy_and_counts(backend):
    assert backend.health() == "ok"
    before = backend.metrics()["completion_tokens"]
    reply = backend.openai().chat.completions.create(
        model=backend.model, messages=HELLO, temperature=0, max_tokens=50
    )
    assert reply.choices[0].message.content
    said = backend.metrics()["completion_tokens"] - before
    assert said >= reply.usage.completion_tokens - 1


def test_four_streams_at_once_are_whole_and_equal(backend):
    client = backend.openai()

    def ask(_):
        chunks = client.chat.completions.create(
            model=backend.model, messages=HELLO, temperature=0, max_tokens=50, stream=True
        )
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))
    assert answers[0]
    assert len(set(answers)) == 1


def test_its_memory_and_the_time_of_a_token_are_measured(backend):
    (server,) = servers()
    assert abs(backend.memory() / server.memory_info().rss - 1) < 0.5
    assert 0 < measure.token_seconds(backend, tokens=3, tries=2) < 1
    with pytest.raises(backends.BackendError, match="not started here"):
        backends.attach(backend.base_url).memory()


def test_a_tool_call_comes_back_as_one(backend):
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    function = {"name": "get_weather", "description": "Say the weather.", "parameters": city}
    reply = backend.openai().chat.completions.create(
        model=backend.model,
        messages=[{"role": "user", "content": "What is the weather like in Oslo?"}],
        tools=[{"type": "function", "function": function}],
        temperature=0,
        max_tokens=100,
    )
    call = reply.choices[0].message.tool_calls[0].function
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})


def greedy(backend, **options) -> dict:
    prompt = "<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n"
    return post(
        backend, "/completion", {"prompt": prompt, "temperature": 0, "n_predict": 40} | options
    )


def test_a_draft_model_guesses_and_the_answer_stays_the_same(backend):
    with backends.start("llama.cpp", draft="edge-slm-nano") as quick:
        answer = greedy(quick)
    assert answer["content"] == greedy(backend)["content"]
    assert 0 < answer["timings"]["draft_n_accepted"] <= answer["timings"]["draft_n"]


def test_a_lora_adapter_changes_the_answer_by_its_scale(backend, tmp_path):
    path, random = tmp_path / "adapter.gguf", np.random.default_rng(0)
    with contextlib.closing(gguf.GGUFWriter(path, "llama")) as writer:
        writer.add_string("general.type", "adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", 8.0)
        for layer in range(5):
            for part, shape in (("a", (8, 256)), ("b", (256, 8))):
                weights = random.normal(0, 0.3, shape).astype(np.float32)
                writer.add_tensor(f"blk.{layer}.attn_q.weight.lora_{part}", weights)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    with backends.start("llama.cpp", lora=str(path)) as adapted:
        without = greedy(adapted, lora=[{"id": 0, "scale": 0.0}])["content"]
        assert without == greedy(backend)["content"]
        assert greedy(adapted)["content"] != without
    with pytest.raises(model.ModelError, match="there is no file"):
        backends.start("llama.cpp", lora=str(tmp_path / "none.gguf"))


# ---- choosing


def test_the_environment_chooses_backend_and_model(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_BACKEND", "lama.cpp")
    with pytest.raises(backends.BackendUnavailable, match=r"there is .*llama\.cpp"):
        backends.start()
    monkeypatch.setenv("COURSE_BACKEND", "llama.cpp")
    monkeypatch.setenv("COURSE_MODEL", str(tmp_path / "none.gguf"))
    with pytest.raises(Exception, match=r"there is no file .*none\.gguf"):
        backends.start()


def test_a_model_of_ones_own_is_named_after_its_file(tmp_path):
    path = tmp_path / "qwen2.5-0.5b.gguf"
    path.write_bytes(model.gguf("edge-slm").read_bytes())
    with backends.start("llama.cpp", model=str(path)) as own:
        assert own.model == "qwen2.5-0.5b"
        assert own.health() == "ok"


def test_attaching_takes_the_servers_model_and_leaves_it_running(backend, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", backend.base_url + "/")
    running = len(servers())
    with backends.start() as attached:
        assert (attached.name, attached.model) == ("attached", "edge-slm")
        assert attached.health() == "ok"
        assert len(servers()) == running
    assert backend.health() == "ok"
    with pytest.raises(backends.BackendError, match="slots cannot be set"):
        backends.start(slots=8)


def test_attaching_to_nothing_or_to_something_else_is_named(backend):
    nobody = f"http://127.0.0.1:{free_port()}/v1"
    for name in (None, "phi4-mini"):
        with pytest.raises(backends.BackendError, match="is the server running"):
            backends.attach(nobody, name)
    with pytest.raises(backends.BackendError, match="answered 404"):
        backends.attach(backend.base_url.removesuffix("/v1") + "/nowhere")
    with pytest.raises(backends.BackendError, match="set COURSE_MODEL to one of these"):
        backends.attach(backend.base_url, model="phi-4-mini").health()


def test_available_says_what_is_missing(monkeypatch):
    assert not backends.available()["llama.cpp"].missing
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "uv sync" in backends.available()["llama.cpp"].missing
    assert "--extra onnx" in backends.available()["onnx"].missing
    with pytest.raises(backends.BackendUnavailable, match="xllamacpp is not installed"):
        backends.start("llama.cpp")


def test_a_tag_that_ollama_adds_is_understood(backend, monkeypatch):
    one = backends.attach(backend.base_url, model="phi4-mini")
    monkeypatch.setattr(one, "served_models", lambda: ["phi4-mini:latest"])
    assert one.health() == "ok"


def test_an_http_proxy_does_not_stand_between(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    monkeypatch.setenv("no_proxy", "intranet.example")
    with backends.start("llama.cpp") as started:
        assert started.health() == "ok"
        client = started.openai(max_retries=0)
        assert client.models.list().data[0].id == "edge-slm"
    assert os.environ["NO_PROXY"].startswith("intranet.example,127.0.0.1")


def test_a_folder_may_have_spaces_and_any_letters(tmp_path, monkeypatch):
    place = tmp_path / "mein Kürs – ñandú 東京"
    monkeypatch.setenv("XDG_CACHE_HOME", str(place))
    with backends.start("llama.cpp") as started:
        assert started.health() == "ok"
    own = place / "my model.gguf"
    own.write_bytes(model.gguf("edge-slm").read_bytes())
    with backends.start("llama.cpp", model=str(own)) as started:
        assert (started.model, started.health()) == ("my model", "ok")


def test_small_models_get_one_thread_and_large_ones_the_cores(monkeypatch):
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 6)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(6), raising=False)
    quota = llama_cpp.Path("/sys/fs/cgroup/cpu.max")
    most = 6 if not quota.is_file() or quota.read_text(encoding="ascii").startswith("max") else 1
    assert llama_cpp.default_threads(4_000_000) == 1
    assert most <= llama_cpp.default_threads(500_000_000) <= 6


# ---- failing


def test_closing_ends_the_process_and_frees_the_port():
    with backends.start("llama.cpp") as started:
        port, process = port_of(started), servers()[-1]
        started.openai().chat.completions.create(model="edge-slm", messages=HELLO, max_tokens=2)
    started.close()  # twice is fine
    assert gone(process)
    with backends.start("llama.cpp", port=port) as again:
        assert port_of(again) == port


def test_a_broken_model_is_named_with_the_servers_own_words(tmp_path):
    path = tmp_path / "broken.gguf"
    path.write_bytes(model.gguf("edge-slm").read_bytes()[:100_000])
    before = len(servers())
    with pytest.raises(backends.BackendError, match="failed to load model"):
        backends.start("llama.cpp", model=str(path))
    assert len(servers()) == before


def test_a_server_killed_in_mid_answer_gives_an_error_and_no_hang():
    with backends.start("llama.cpp") as started:
        process = servers()[-1]
        stream = started.openai(max_retries=0).chat.completions.create(
            model=started.model,
            messages=HELLO,
            max_tokens=1500,
            stream=True,
            extra_body={"ignore_eos": True},
        )
        next(stream)
        process.kill()
        with pytest.raises(openai.APIConnectionError):
            list(stream)
        with pytest.raises(backends.BackendError, match="its process has ended"):
            started.health()


def test_a_server_that_says_nothing_is_ended_in_time():
    started = time.monotonic()
    with pytest.raises(backends.BackendError, match=r"was not ready within 0\.5 s"):
        child.Child("sleeper", ["-c", "import time; time.sleep(60)"], timeout=0.5)
    assert time.monotonic() - started < 10


# ---- parents that go away

HOLDER = """
import sys, time
from helpers import backends
backend = backends.start("llama.cpp")
print("up", flush=True)
time.sleep(60)
"""


def hold() -> tuple[subprocess.Popen, psutil.Process]:
    """Another Python process, as a second notebook is, with a backend up; and its server."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE)
    assert holder.stdout.readline().strip() == b"up"
    (server,) = servers(psutil.Process(holder.pid))
    return holder, server


@pytest.mark.parametrize("how", ["terminate", "kill"])
def test_the_server_dies_with_its_parent(how):
    holder, server = hold()
    getattr(holder, how)()
    holder.wait()
    holder.stdout.close()
    assert gone(server)


def test_two_notebooks_that_start_at_once_both_run(new_cache):
    with ThreadPoolExecutor(2) as pool:
        held = list(pool.map(lambda _: hold(), range(2)))
    assert all(server.is_running() for _, server in held)
    for holder, server in held:
        holder.kill()
        holder.wait()
        holder.stdout.close()
        assert gone(server)


@pytest.fixture
def kernel():
    """A real Jupyter kernel with a backend running in it."""
    from jupyter_client.manager import KernelManager

    manager = KernelManager()
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(60)
    run(client, "from helpers import backends; backend = backends.start('llama.cpp')")
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client, code: str) -> str:
    """Run code in the kernel; its printed text. An error in the code is raised here."""
    printed = []

    def collect(message):
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    reply = client.execute_interactive(code, timeout=60, output_hook=collect)
    assert reply["content"]["status"] == "ok", reply["content"].get("evalue")
    return "".join(printed)


def kernel_servers(manager) -> list[psutil.Process]:
    return servers(psutil.Process(manager.provisioner.process.pid))


def test_a_restarted_kernel_leaves_no_server(kernel):
    manager, client = kernel
    (old,) = kernel_servers(manager)
    manager.restart_kernel(now=False)
    client.wait_for_ready(60)
    assert gone(old)
    run(client, "from helpers import backends\nwith backends.start() as b: print(b.health())")


def test_an_interrupted_kernel_keeps_its_server(kernel):
    manager, client = kernel
    client.execute("import time; print('now', flush=True); time.sleep(60)")
    while client.get_iopub_msg(timeout=20)["msg_type"] != "stream":
        pass
    manager.interrupt_kernel()
    reply = client.get_shell_msg(timeout=20)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert run(client, "print(backend.health())").strip() == "ok"


def test_importing_helpers_is_quick():
    code = "import time; t = time.perf_counter(); import helpers, helpers.backends, helpers.model; "
    code += "print(time.perf_counter() - t)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(times) < 0.3
