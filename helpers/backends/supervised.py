"""A server of somebody else's, as a group of processes that ends with the notebook.

What a backend starts is a supervisor, this course's own process (`helpers.backends.child`): it
starts the server, waits until it answers, and ends with the notebook, and all of the server's
processes with it. On systems that have a shell and groups of processes: Linux, macOS.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from helpers.backends.child import announce_ready_and_wait

# The shell becomes the server. What it leaves behind waits for the end of the standard input, the
# pipe that the notebook's process holds, and then kills whatever of the server's is left: also when
# the supervisor was killed before it could end it the polite way.
GUARD = 'exec 3<&0; { read -r _ <&3; sleep 5; kill -KILL 0; } & exec "$@"'


def supervise(
    name: str,
    command: Sequence[str],
    variables: Mapping[str, str],
    url: str,
    probe: str,
    timeout: float,
    reason: Callable[[list[str], int], str],
) -> None:
    """Run a server as the supervisor, until the notebook ends. Returns never.

    variables: of its environment, to which a folder for temporary files is added. probe: the path
    under `url` that answers once the server is ready. reason: why it ended, of the lines of its log
    and its exit code.
    """
    server = _Supervised(name, command, variables, url, probe, timeout, reason)
    announce_ready_and_wait(server.begin, server.end)


class _Supervised:
    """begin: see `announce_ready_and_wait`. end: all processes are gone when it returns."""

    def __init__(self, name, command, variables, url, probe, timeout, reason):
        self._name, self._url, self._probe, self._timeout = name, url, url + probe, timeout
        self._why, self._ending = reason, False
        self._folder = tempfile.mkdtemp(prefix=f"{name.lower()}-")
        self._log = Path(self._folder, "log")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", GUARD, "guard", *command],
                env={**variables, "TMPDIR": self._folder},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def begin(self) -> dict:
        deadline = time.monotonic() + self._timeout
        while not self._answers():
            problem = None
            if self._process.poll() is not None:
                problem = self._reason()
            elif time.monotonic() > deadline:
                problem = f"{self._name} was not ready within {self._timeout:g} s"
            elif select.select([0], [], [], 0.1)[0]:
                problem = f"the process that wanted {self._name} has ended"
            if problem:
                self.end()
                raise RuntimeError(problem)
        threading.Thread(target=self._end_with_it, daemon=True).start()
        return {"url": self._url}

    def end(self) -> None:
        self._ending = True
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):  # then it is killed
            self._process.wait(4)
            time.sleep(0.2)  # multiprocessing's tracker is just removing vLLM's semaphores
        with contextlib.suppress(ProcessLookupError):  # the whole group has gone
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with directly.open(self._probe, timeout=2):
                return True
        except OSError:  # not yet
            return False

    def _end_with_it(self) -> None:
        """A server that has ended must be seen to have: the supervisor ends with it."""
        self._process.wait()
        if not self._ending:
            print(self._reason(), file=sys.stderr, flush=True)
            self.end()
            os._exit(1)

    def _reason(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return self._why(lines, self._process.returncode)
