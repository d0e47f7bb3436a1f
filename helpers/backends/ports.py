"""Whether a port of this machine is free, asked before a server is started on it."""

import contextlib
import os
import socket
from collections.abc import Iterator

from helpers.backends.errors import BackendError


@contextlib.contextmanager
def reserved(port: int) -> Iterator[int]:
    """A port that nobody else is given while a server, which may bind it too, has not yet done so.

    port: 0 for any. Raises BackendError when it is taken.
    """
    with socket.socket() as holder:
        if os.name == "posix":  # a port whose last server has just gone counts as free
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            holder.bind(("127.0.0.1", port))
        except OSError as error:
            raise BackendError(
                f"port {port} is taken ({error.strerror}); port=0, the default, takes a free one"
            ) from error
        yield holder.getsockname()[1]


def require_free(port: int) -> None:
    """Raise BackendError when somebody listens to a port; 0 is always free."""
    with reserved(port):
        pass
