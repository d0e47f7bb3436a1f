"""What no client should send, over both front doors: a 4xx with a message, no hang, no 500."""

import contextlib
import http.client
import json
import socket
import urllib.parse

import pytest

from helpers import backends
from tests.conftest import RUNTIME_NEEDS

HELLO = [{"role": "user", "content": "Hello!"}]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": CITY}}
DEEP = json.loads("[" * 500 + "]" * 500)


def call(name="get_weather", arguments='{"city": "Oslo"}') -> dict:
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "tool_calls": [{"id": "1", "type": "function", "function": function}],
    }


def schema(content) -> dict:
    return {"type": "json_schema", "json_schema": {"name": "a", "schema": content}}


# ---- what is not even a request: (method, path, body)

RAW = [
    ("POST", "/v1/chat/completions", b""),
    ("POST", "/v1/chat/completions", b"{"),
    ("POST", "/v1/chat/completions", b"null"),
    ("POST", "/v1/chat/completions", b"[]"),
    ("POST", "/v1/chat/completions", b'"model"'),
    ("POST", "/v1/chat/completions", b"{'model': 'edge-slm'}"),
    ("POST", "/v1/chat/completions", b'{"model": "\xff\xfe"}'),
    ("POST", "/v1/chat/completions", b'{"model": "edge-slm", "messages": [}'),
    ("POST", "/v1/chat/completions", b"model=edge-slm&messages=hello"),
    ("POST", "/v1/chat/completions", b"[" * 100_000),
    ("POST", "/v1/chat/completions", b'{"a":' * 50_000),
    ("POST", "/v1/chat/completions", b" " * 9_000_000),
    ("POST", "/v1/completions", b"{}"),
    ("POST", "/v1/embeddings", b"{}"),
    ("POST", "/v1/nothing", b"{}"),
    ("GET", "/v1/chat/completions", b""),
    ("DELETE", "/v1/models", b""),
    ("GET", "/v1/models/nothing", b""),
    ("GET", "/v1/models/../../etc/passwd", b""),
    ("GET", "/v1/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd", b""),
    ("GET", "/v1/models/edge-slm%00", b""),
    ("GET", "/nothing", b""),
    ("GET", "//etc/passwd", b""),
]

# ---- what is no chat: fields that replace those of a good request

CHAT = {
    "model": [None, 7, "", "nothing", "../edge-slm", "edge-slm\0", "a" * 10_000, ["edge-slm"]],
    "messages": [
        None,
        [],
        {},
        "Hello!",
        [None],
        ["Hello!"],
        [{}],
        [{"role": "user"}],
        [{"content": "Hello!"}],
        [{"role": "nobody", "content": "Hello!"}],
        [{"role": "user", "content": 7}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///x"}}]}],
        [{"role": "user", "content": [{"type": "text"}]}],
        [*HELLO, call(arguments="{"), {"role": "tool", "tool_call_id": "1", "content": "x"}],
        [*HELLO, call(arguments="[]"), {"role": "tool", "tool_call_id": "1", "content": "x"}],
        [*HELLO, {"role": "assistant", "tool_calls": [{}]}],
        [*HELLO, {"role": "assistant", "tool_calls": "get_weather"}],
        [{"role": "user", "content": "again " * 5000}],
        HELLO * 2000,
    ],
    "temperature": ["warm", -1, 3, "nan", [1]],
    "top_p": [0, -0.1, 1.1, "all"],
    "max_tokens": [0, -1, "many", 1.5, {}],
    "max_completion_tokens": [0, -1, "many"],
    "n": [0, -1, 1000, "two"],
    "seed": ["x", 1.5, []],
    "stop": [7, {}, [7], ["a"] * 100, [""]],
    "stream": ["perhaps", 7],
    "presence_penalty": [9, "x"],
    "frequency_penalty": [-9],
    "top_logprobs": [5, -1, 99],
    "logit_bias": [{"5": -100}],
    "functions": [[{"name": "f"}]],
    "tools": [
        "get_weather",
        {},
        [{}],
        [{"type": "function"}],
        [{"type": "function", "function": {}}],
        [{"type": "function", "function": {"name": ""}}],
        [{"type": "function", "function": {"name": "a b/c"}}],
        [{"type": "function", "function": {"name": "f", "parameters": "none"}}],
        [{"type": "function", "function": {"name": "f", "parameters": DEEP}}],
        [{"type": "web_search"}],
    ],
    "tool_choice": [
        "get_weather",
        "required",
        {"type": "function"},
        {"type": "function", "function": {"name": "get_weather"}},
    ],
    "response_format": [
        "json",
        {},
        {"type": "xml"},
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"name": "a"}},
        schema("object"),
        schema({"type": "nonsense"}),
        schema({"$ref": "#/nowhere"}),
        schema({"type": "object", "properties": []}),
        schema({"enum": []}),
        schema({"type": "string", "pattern": "("}),
    ],
}
TOGETHER = [
    {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "other"}}},
    {"tools": [TOOL], "response_format": schema(CITY)},
    {"logprobs": True, "top_logprobs": 99},
]


def chats() -> list[dict]:
    good = {"model": "edge-slm", "messages": HELLO, "max_tokens": 3}
    found = [good | {field: value} for field, values in CHAT.items() for value in values]
    for field in ("model", "messages"):
        found.append({name: value for name, value in good.items() if name != field})
    return found + [good | fields for fields in TOGETHER]


def send(address: str, method: str, path: str, body: bytes) -> tuple[int, dict]:
    """The status and the JSON of what the server answers, within half a minute."""
    place = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
    try:
        # It may have read enough and say so before all is sent.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def reason(answer: dict) -> str:
    error = answer["error"]
    return error if isinstance(error, str) else error["message"]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.needs(*RUNTIME_NEEDS.get(name, ())))
        for name in ("onnx", "ollama")
    ],
)
def address(request):
    with backends.start(request.param) as started:
        yield started.base_url.removesuffix("/v1")


@pytest.mark.parametrize(("method", "path", "body"), RAW, ids=range(len(RAW)))
def test_what_is_no_request(address, method, path, body):
    status, answer = send(address, method, path, body)
    assert 400 <= status < 500
    assert reason(answer)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_what_is_no_chat(address, stream):
    wrong = []
    for request in chats():
        body = json.dumps({"stream": stream} | request).encode("utf-8")
        status, answer = send(address, "POST", "/v1/chat/completions", body)
        if not (400 <= status < 500 and reason(answer)):
            wrong.append((status, str(request)[:200], str(answer)[:300]))
    assert not wrong, "\n".join(map(str, wrong))
    good = {"model": "edge-slm", "messages": HELLO, "max_tokens": 3}
    status, _ = send(address, "POST", "/v1/chat/completions", json.dumps(good).encode())
    assert status == 200


def test_enough_of_it():
    assert len(RAW) + len(chats()) >= 100


def test_clients_that_go_away_leave_the_server_well(address):
    place = urllib.parse.urlsplit(address)
    body = json.dumps(
        {"model": "edge-slm", "messages": HELLO, "max_tokens": 1500, "stream": True}
    ).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{place.port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: "
    ).encode()
    whole = head + str(len(body)).encode() + b"\r\n\r\n" + body
    too_long = head + b"999999\r\n\r\n" + body
    for message in (whole, whole[:30], whole[:-20], too_long, b"\x16\x03\x01nonsense\r\n\r\n"):
        for _ in range(5):
            with socket.create_connection((place.hostname, place.port), timeout=10) as client:
                client.sendall(message)
    good = {"model": "edge-slm", "messages": HELLO, "max_tokens": 3}
    status, _ = send(address, "POST", "/v1/chat/completions", json.dumps(good).encode())
    assert status == 200
