"""LangChain's standard tests of chat models, over the servers: a client that nobody here wrote.

The package `langchain-tests` asks through `langchain-openai` or `langchain-ollama` and looks at
what LangChain makes of the answers. What fails, and is expected to, stands here by its name with
the words of the failure and the reason: the model's weakness, or what a server that is not the
course's leaves out. A test that fails in other words has failed, and so has one that passes.
"""

import importlib
import os
from typing import ClassVar

import pytest

from helpers import backends


def wanted(module: str):
    """The module; without it this file is skipped, unless nothing may be."""
    if os.environ.get("COURSE_REQUIRE") == "all":
        return importlib.import_module(module)
    return pytest.importorskip(module, reason=f"needs {module}: uv sync --extra test")


ChatModelIntegrationTests = wanted("langchain_tests.integration_tests").ChatModelIntegrationTests
ChatOpenAI = wanted("langchain_openai").ChatOpenAI
ChatOllama = wanted("langchain_ollama").ChatOllama
OutputParserException = wanted("langchain_core.exceptions").OutputParserException

TEXT_ONLY = "the course's models read nothing but text"
# LangChain would skip them.
LEFT_OUT = {
    "test_image_inputs": TEXT_ONLY,
    "test_image_tool_message": TEXT_ONLY,
    "test_pdf_inputs": TEXT_ONLY,
    "test_pdf_tool_message": TEXT_ONLY,
    "test_audio_inputs": TEXT_ONLY,
    "test_stream_time": "measures LangChain itself, on recorded answers, and no server",
}
# What five million parameters are too few for, on every server.
WEAK = {
    "test_json_mode": (
        "Failed to parse Joke from completion {.*}",
        "the model writes a JSON object, but with other keys than the prompt asks for",
    ),
    "test_unicode_tool_call_integration": (
        "Unicode characters not found",
        "the model calls the tool, but cannot copy letters that it never read",
    ),
}
TWO_CALLS = "assert 2 == 1"


class Standard(ChatModelIntegrationTests):
    """runtime, options: what is served. left_out: tests that do not run, and why.

    fails: those that fail; for each name what the error says (a regular expression), and why. No
    test can be replaced or removed here: `test_no_overrides_DO_NOT_OVERRIDE` is one of LangChain's.
    """

    runtime = ""
    options: ClassVar = {}
    fails: ClassVar = WEAK
    left_out: ClassVar = LEFT_OUT
    pytestmark: ClassVar = [
        pytest.mark.asyncio(loop_scope="class"),  # LangChain keeps an HTTP client for each address
        pytest.mark.filterwarnings(
            "ignore:The test .* is marked with '@pytest.mark.asyncio' but it is not an async",
            "ignore:Pydantic serializer warnings",  # openai's parsed answers
            "ignore:Received a Pydantic BaseModel V1 schema",
        ),
    ]

    supports_json_mode = True

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def served(cls):
        with backends.start(cls.runtime, **cls.options) as cls.backend:
            yield

    @pytest.fixture(autouse=True)
    def expected(self, request, monkeypatch):
        # A developer who sends traces to LangSmith does not send these.
        monkeypatch.setenv("LANGSMITH_TRACING_V2", "false")
        name = request.node.originalname
        if name in self.left_out:
            pytest.xfail(self.left_out[name])
        if name in self.fails:
            words, reason = self.fails[name]
            error = pytest.RaisesExc((AssertionError, OutputParserException), match=words)
            request.applymarker(pytest.mark.xfail(strict=True, raises=error, reason=reason))


class OverOpenAI(Standard):
    """Through `langchain-openai`. more: parameters of the model."""

    chat_model_class = ChatOpenAI
    supports_anthropic_inputs = True  # langchain-openai drops what OpenAI's API does not know
    supported_usage_metadata_details: ClassVar = {
        "invoke": ["cache_read_input"],
        "stream": ["cache_read_input"],
    }
    more: ClassVar = {}

    @property
    def chat_model_params(self) -> dict:
        return {
            "base_url": self.backend.base_url,
            "api_key": self.backend.api_key,
            "model": self.backend.model,
            "temperature": 0,
            "max_tokens": 200,
            "max_retries": 0,
            "timeout": 60,
            "stream_usage": True,  # the default only at OpenAI's own address
            # The model takes "San Francisco, CA" for two places, and would ask for both.
            "model_kwargs": {"parallel_tool_calls": False},
            **self.more,
        }

    @property
    def model_override_value(self) -> str:
        return self.backend.model  # a server here has only one

    def invoke_with_cache_read_input(self, *, stream: bool = False):
        model = self.chat_model_class(**self.chat_model_params)
        if not stream:
            return model.invoke("Hello")
        first, *rest = model.stream("Hello")
        return sum(rest, first)


class TestLlamaCpp(OverOpenAI):
    runtime = "llama.cpp"
    more: ClassVar = {"frequency_penalty": 0.5}  # or it repeats itself inside of a JSON string
    fails: ClassVar = {
        **WEAK,
        "test_tool_choice": (
            r"assert \[\]",
            "llama.cpp lets the model talk before a call that is 'required', here to max_tokens, "
            "and reads a named tool as 'auto'",
        ),
        "test_structured_output_pydantic_2_v1": (
            "isinstance.None, ",
            "LangChain names the tool for a model of pydantic 1; llama.cpp reads that as 'auto'",
        ),
        "test_agent_loop": (
            TWO_CALLS,
            "the model takes 'San Francisco, CA' for two places, and llama.cpp passes over "
            "parallel_tool_calls=False",
        ),
    }


@pytest.mark.needs("onnx")
class TestOnnx(OverOpenAI):
    """The course's own server."""

    runtime = "onnx"


@pytest.mark.needs("vllm")
class TestVllm(OverOpenAI):
    runtime = "vllm"
    more: ClassVar = {"frequency_penalty": 0.5}


class TestOllama(Standard):
    """The course's own server, through `langchain-ollama`."""

    runtime = "ollama"
    options: ClassVar = {"real": False}
    chat_model_class = ChatOllama
    has_tool_choice = False
    fails: ClassVar = {
        **WEAK,
        "test_agent_loop": (
            TWO_CALLS,
            "the model takes 'San Francisco, CA' for two places, and Ollama's API cannot ask for "
            "a single call",
        ),
    }
    left_out: ClassVar = {
        **LEFT_OUT,
        "test_tool_choice": "Ollama's API has no tool_choice",
        "test_anthropic_inputs": "langchain-ollama refuses what Anthropic's messages may hold",
    }

    @property
    def chat_model_params(self) -> dict:
        return {
            "base_url": self.backend.base_url.removesuffix("/v1"),
            "model": self.backend.model,
            "temperature": 0,
            "num_predict": 200,
            "repeat_penalty": 1.1,  # or it repeats itself inside of a JSON string
            "validate_model_on_init": True,
            "client_kwargs": {"timeout": 60},
        }

    @property
    def model_override_value(self) -> str:
        return self.backend.model.removesuffix(":latest") + ":latest"


class TestOllamaOverOpenAI(OverOpenAI):
    """The other door of that server: llama.cpp, but held to what it is asked for."""

    runtime = "ollama"
    options: ClassVar = {"real": False}
    more: ClassVar = {"frequency_penalty": 0.5}
