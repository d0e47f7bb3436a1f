"""A server in a child process that dies with its parent, on every system.

The parent holds the child's standard input open and writes nothing into it. When the parent ends,
even by a kill, the system closes that pipe; the child reads the end of it and exits. The child
says on its standard output, in one line of JSON, when it is ready and where it listens.
"""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import weakref

import psutil

from helpers.backends.errors import BackendError

_children: weakref.WeakSet = weakref.WeakSet()


class Child:
    """`Child("llama.cpp", ["-m", "package.module", "--option"])` is up when the call returns.

    ready: what the child said, a dict. Raises BackendError with the end of the child's log when it
    ends first or says nothing within `timeout` seconds.
    """

    def __init__(self, name: str, arguments: list[str], timeout: float = 120):
        self.name, self._timed_out = name, False
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - nameless, closed with the child
        # Unbuffered UTF-8 whatever the system's own encoding is.
        environment = os.environ | {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
        )
        _children.add(self)
        try:
            self.ready = self._wait_until_ready(timeout)
        except BaseException:  # also a kernel's interrupt: leave no server behind
            self.close()
            raise

    def ended(self, within: float = 0) -> bool:
        """Whether the process has ended, or does so within that many seconds."""
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True

    def memory(self) -> int:
        """Bytes in the memory of the process and of its children (Windows starts Python in one)."""
        return sum(member.memory_info().rss for member in self._family())

    def _family(self) -> list[psutil.Process]:
        process = psutil.Process(self._process.pid)
        return [process, *process.children(recursive=True)]

    def tail(self, lines: int = 12) -> str:
        """The last lines of its log, once the process has ended."""
        if self._log.closed:
            return "(closed)"
        self._log.seek(0)  # the place is shared with a process that still writes
        said = self._log.read().decode("utf-8", errors="replace").strip().splitlines()
        if self._process.poll() == -9:  # it could not say anything of it
            said.append("(killed with signal 9, as by the system when memory runs out)")
        return "\n".join(said[-lines:])

    def close(self) -> None:
        """End the process and wait for it; closing twice is fine."""
        self._process.stdin.close()  # the polite way: the child reads the end of its input
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            # With the processes that it started: they would hear of it, unless they hang as well.
            self._kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def _wait_until_ready(self, timeout: float) -> dict:
        timer = threading.Timer(timeout, self._give_up)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            self._process.wait()
            what = f"was not ready within {timeout:g} s" if self._timed_out else "did not start"
            raise BackendError(f"{self.name} {what}. The end of its log:\n{self.tail()}")
        return json.loads(line)

    def _give_up(self) -> None:
        self._timed_out = True
        self._kill()

    def _kill(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for member in reversed(self._family()):
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()


@atexit.register
def _close_all() -> None:
    for child in list(_children):
        if not child.ended():
            child.close()


def announce_ready_and_wait(begin, end=lambda: None) -> None:
    """The child's side: `begin()` starts the server and returns what to tell the parent, a dict.

    Returns never: the process ends with its standard input, after `end()`, for servers that have
    processes of their own.
    """
    # A kernel's interrupt goes to all its processes: it is meant for the cell, not for the server.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What libraries print must not be taken for the message to the parent.
    channel = os.dup(1)
    os.dup2(2, 1)
    try:
        ready = begin()
    except RuntimeError as error:  # the library's own log, before this line, has the reason
        sys.exit(str(error))
    try:
        os.write(channel, (json.dumps(ready) + "\n").encode("ascii"))
        os.close(channel)
        while os.read(0, 1024):
            pass
    except OSError:  # the parent has gone already; an exception would wait for the server's threads
        pass
    end()
    os._exit(0)
