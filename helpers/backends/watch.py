"""What a backend's own clients see of it: requests, errors, and the seconds that they took."""

import json
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable

from helpers.backends.errors import BackendError


class Watch:
    """Counts the requests of the clients it makes, and stops those that the server cannot serve.

    cannot: what is wrong with the JSON of a request, or an empty text.
    """

    def __init__(self, cannot: Callable[[dict], str] | None = None):
        self._cannot = cannot
        self._lock = threading.Lock()
        self._requests = self._errors = 0
        self._seconds: deque[float] = deque(maxlen=1000)

    def numbers(self) -> dict[str, float]:
        with self._lock:
            seconds = sorted(self._seconds)
            counts = {"requests": self._requests, "errors": self._errors}
        cuts = statistics.quantiles(seconds, n=20) if len(seconds) > 1 else seconds * 19
        latency = {"latency_p50": cuts[9], "latency_p95": cuts[18]} if cuts else {}
        return counts | latency

    def client(self):
        """An HTTP client for `OpenAI(http_client=...)`, with OpenAI's own settings."""
        from openai import DefaultHttpxClient

        watch = self

        class Watched(DefaultHttpxClient):
            def send(self, request, **options):
                if request.method != "POST":
                    return super().send(request, **options)
                watch._allow(request)
                begun = time.perf_counter()
                try:
                    response = super().send(request, **options)
                except BaseException:
                    watch._done(begun, failed=True)
                    raise
                if response.is_closed or response.is_stream_consumed:
                    watch._done(begun, response.is_error)
                else:
                    response.stream = watch._timed(response.stream, begun, response.is_error)
                return response

        return Watched()

    def _allow(self, request) -> None:
        if self._cannot and (why := self._cannot(json.loads(request.content))):
            raise BackendError(why)

    def _done(self, begun: float, failed: bool) -> None:
        with self._lock:
            self._requests += 1
            self._errors += failed
            if not failed:
                self._seconds.append(time.perf_counter() - begun)

    def _timed(self, stream, begun: float, failed: bool):
        """The stream of an answer, which says when it ends."""
        import httpx2

        watch = self

        class Timed(httpx2.SyncByteStream):
            broken = failed

            def __iter__(self):
                try:
                    yield from stream
                except Exception:
                    self.broken = True
                    raise

            def close(self):
                stream.close()
                watch._done(begun, self.broken)

        return Timed()
