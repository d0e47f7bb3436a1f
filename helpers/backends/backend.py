"""What every runtime hands out, and the errors."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING

from helpers.backends.errors import BackendError
from helpers.backends.watch import Watch

if TYPE_CHECKING:
    from openai import OpenAI

    from helpers.backends.child import Child

# What the servers call it: llama.cpp's, the course's own, vLLM's.
METRICS = [
    {
        "running": "llamacpp:requests_processing",
        "waiting": "llamacpp:requests_deferred",
        "prompt_tokens": "llamacpp:prompt_tokens_total",
        "completion_tokens": "llamacpp:tokens_predicted_total",
        "seconds": "llamacpp:tokens_predicted_seconds_total",
    },
    {
        "running": "course_requests_running",
        "waiting": "course_requests_waiting",
        "prompt_tokens": "course_prompt_tokens_total",
        "completion_tokens": "course_completion_tokens_total",
        "seconds": "course_completion_seconds_total",
    },
    {
        "running": "vllm:num_requests_running",
        "waiting": "vllm:num_requests_waiting",
        "prompt_tokens": "vllm:prompt_tokens_total",
        "completion_tokens": "vllm:generation_tokens_total",
        "seconds": "vllm:request_decode_time_seconds_sum",
    },
]
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Backend:
    """A model that answers over an OpenAI-compatible server; close it, or use it with `with`.

    name: the runtime's. model: what to pass as `model=`. base_url, api_key: for any client.
    server: the child process that serves it, None for a server that somebody else runs.
    cannot: what the server would pass over in a request's JSON, and what to do instead, or an empty
    text; clients from `openai()` raise BackendError with it.
    """

    def __init__(
        self,
        name: str,
        model: str,
        base_url: str,
        api_key: str = "none",
        server: Child | None = None,
        cannot: Callable[[dict], str] | None = None,
    ):
        self.name, self.model = name, model
        self.base_url, self.api_key = base_url.rstrip("/"), api_key
        self._server = server
        self._watch = Watch(cannot)
        if urllib.parse.urlsplit(base_url).hostname in LOOPBACK:
            _reach_loopback_directly()

    def openai(self, **options) -> OpenAI:
        """A new OpenAI client for this server; options are passed on to it."""
        from openai import OpenAI

        if "http_client" not in options:
            options["http_client"] = self._watch.client()
        return OpenAI(base_url=self.base_url, api_key=self.api_key, **options)

    def health(self) -> str:
        """Say "ok" when the server answers and has the model; raises BackendError otherwise."""
        served = self.served_models()
        # Ollama lists phi4-mini as phi4-mini:latest and answers to both.
        if not {self.model, f"{self.model}:latest"} & set(served):
            raise BackendError(
                f"{self.base_url} serves {', '.join(served)}, not {self.model!r}: "
                f"set COURSE_MODEL to one of these"
            )
        return "ok"

    def metrics(self) -> dict[str, float]:
        """How the server does, in the same words for every runtime.

        requests, errors: of this backend's `openai()` clients; latency_p50, latency_p95: seconds of
        whole answers to them, the last thousand. running, waiting: requests of all clients, now.
        prompt_tokens, completion_tokens: since the start, tokens_per_second: while answers are
        written. memory: bytes, of a server that was started here. Raises BackendError where the
        server has no metrics.
        """
        samples = self.prometheus()
        found = next((known for known in METRICS if known["running"] in samples), None)
        if not found:
            raise BackendError(f"{self.base_url} has metrics, but none that are known here")
        numbers = {what: samples.get(name, 0.0) for what, name in found.items()}
        seconds = numbers.pop("seconds")
        numbers["tokens_per_second"] = numbers["completion_tokens"] / seconds if seconds else 0.0
        if self._server:
            numbers["memory"] = self.memory()
        return self._watch.numbers() | numbers

    def prometheus(self) -> dict[str, float]:
        """The server's own metrics, such as {"llamacpp:tokens_predicted_total": 41.0}.

        Those with labels are summed up. Raises BackendError where the server has none.
        """
        text = self._get(self.base_url.removesuffix("/v1") + "/metrics")
        samples: dict[str, float] = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                label, value = line.rsplit(" ", 1)
                name = label.partition("{")[0]
                samples[name] = samples.get(name, 0.0) + float(value)
        return samples

    def memory(self) -> int:
        """Bytes of memory that the server's process has in use, the mapped weights included.

        Raises BackendError for a server that somebody else runs.
        """
        if not self._server:
            raise BackendError(f"{self.base_url} was not started here: its process is not known")
        return self._server.memory()

    def served_models(self) -> list[str]:
        """The names that the server lists, at least one. Raises BackendError."""
        text = self._get(self.base_url + "/models")
        try:
            served = [entry["id"] for entry in json.loads(text)["data"]]
        except (ValueError, KeyError, TypeError):
            served = []
        if not served:
            raise BackendError(
                f"{self.base_url}/models lists no model: is it an OpenAI-compatible address "
                f"(it usually ends in /v1)?"
            )
        return served

    def last_words(self) -> str:
        """What the server's process said at its end, if it was started here and has ended."""
        # A process that is being killed drops its connections a moment before it is gone.
        if self._server and self._server.ended(within=1):
            return f": its process has ended. The end of its log:\n{self._server.tail()}"
        return ""

    def close(self) -> None:
        """End the server if this backend started it. Closing twice is fine."""
        if self._server:
            self._server.close()

    def __enter__(self) -> Backend:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Backend({self.name!r}, model={self.model!r}, base_url={self.base_url!r})"

    def _get(self, url: str) -> str:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.api_key}"})
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return response.read().decode("utf-8")
        except urllib.error.HTTPError as error:
            hint = "set OPENAI_API_KEY" if error.code in {401, 403} else "is the address right?"
            raise BackendError(f"{url} answered {error.code} {error.reason}: {hint}") from error
        except (OSError, http.client.HTTPException) as error:
            why = self.last_words() or ": is the server running, and is it one?"
            raise BackendError(f"no answer from {url} ({error}){why}") from error


def _reach_loopback_directly() -> None:
    """Keep clients from asking an HTTP proxy, as offices and schools set one, for this machine."""
    for variable in ("NO_PROXY", "no_proxy"):
        known = [host for host in os.environ.get(variable, "").split(",") if host]
        os.environ[variable] = ",".join(known + [host for host in LOOPBACK if host not in known])
