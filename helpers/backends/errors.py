"""What goes wrong with a runtime."""


class BackendError(Exception):
    """A runtime is there but did not do what it was asked; the text says what and what to do."""


class BackendUnavailable(BackendError):
    """A runtime is not installed here; the text has the command that mends it."""
