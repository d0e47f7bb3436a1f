"""What every runtime hands out, and the errors."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openai import OpenAI


class BackendError(Exception):
    """A runtime is there but did not do what it was asked; the text says what and what to do."""


class BackendUnavailable(BackendError):
    """A runtime is not installed here; the text has the command that mends it."""


class Backend:
    """A model that answers over an OpenAI-compatible server; close it, or use it with `with`.

    name: the runtime's. model: what to pass as `model=`. base_url, api_key: for any client.
    """

    def __init__(
        self,
        name: str,
        model: str,
        base_url: str,
        api_key: str = "none",
        close: Callable[[], None] = lambda: None,
        alive: Callable[[], bool] = lambda: True,
    ):
        self.name, self.model = name, model
        self.base_url, self.api_key = base_url.rstrip("/"), api_key
        self._close, self._alive = close, alive

    def openai(self, **options) -> OpenAI:
        """A new OpenAI client for this server; options are passed on to it."""
        from openai import OpenAI

        return OpenAI(base_url=self.base_url, api_key=self.api_key, **options)

    def health(self) -> str:
        """ "ok" when the server answers and knows the model; raises BackendError otherwise."""
        served = self.served_models()
        if self.model not in served:
            raise BackendError(
                f"{self.base_url} serves {', '.join(served)}, not {self.model!r}: "
                f"set COURSE_MODEL to one of these"
            )
        return "ok"

    def metrics(self) -> dict[str, float]:
        """The server's Prometheus metrics, name to value.

        >>> backend.metrics()["llamacpp:tokens_predicted_total"]  # doctest: +SKIP
        41.0
        """
        lines = self._get(self.base_url.removesuffix("/v1") + "/metrics").splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def served_models(self) -> list[str]:
        """The names that the server lists, at least one. Raises BackendError."""
        try:
            served = [
                entry["id"] for entry in json.loads(self._get(self.base_url + "/models"))["data"]
            ]
        except (ValueError, KeyError, TypeError):
            served = []
        if not served:
            raise BackendError(
                f"{self.base_url}/models lists no model: is it an OpenAI-compatible address "
                f"(it usually ends in /v1)?"
            )
        return served

    def close(self) -> None:
        """End the server if this backend started it. Closing twice is fine."""
        self._close()

    def __enter__(self) -> Backend:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Backend({self.name!r}, model={self.model!r}, base_url={self.base_url!r})"

    def _get(self, url: str) -> str:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.api_key}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.read().decode("utf-8")
        except (urllib.error.URLError, OSError) as error:
            gone = "its server process has ended" if not self._alive() else "is the server running?"
            raise BackendError(f"no answer from {url} ({error}): {gone}") from error
