"""Files on their way into a folder of blobs, which are named by what is in them.

`python -m helpers.serving.blobs SOURCE TARGET TYPE` is the process that quantizes.
"""

import contextlib
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from helpers import model as models
from helpers.serving.engine import ServingError


class Copying:
    """A file on its way to the blobs."""

    def __init__(self, source: Path, blobs: Path):
        self._source, self._blobs, self.done = source, blobs, 0

    def run(self) -> str:
        """Its digest."""
        seen = hashlib.sha256()
        with unfinished(self._blobs) as partial:
            with self._source.open("rb") as source, partial.open("wb") as target:
                while piece := source.read(1 << 20):
                    seen.update(piece)
                    target.write(piece)
                    self.done += len(piece)
            os.replace(partial, self._blobs / f"sha256-{seen.hexdigest()}")
        return f"sha256:{seen.hexdigest()}"


class Quantizing:
    """llama.cpp's quantization in a process of its own, which can be stopped."""

    def __init__(self, source: Path, blobs: Path, quant: str):
        self._source, self._blobs, self._quant = source, blobs, quant
        self._process: subprocess.Popen | None = None
        self._stopped = False
        self.part = 0.0  # of the tensors that are done

    def run(self) -> str:
        """The digest of the new blob. Raises ServingError."""
        with unfinished(self._blobs) as partial:
            module = [sys.executable, "-m", "helpers.serving.blobs"]
            self._process = subprocess.Popen(
                [*module, str(self._source), str(partial), self._quant],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONUTF8": "1"},
                encoding="utf-8",
                errors="replace",
            )
            if self._stopped:
                self._process.kill()
            with self._process as process:
                said = ""
                for line in process.stdout:
                    if found := re.fullmatch(r"\[ *(\d+)/ *(\d+)\].*\n", line):
                        self.part = int(found[1]) / int(found[2])
                    said = line.strip() or said
            if self._process.returncode:
                raise ServingError(f"{self._quant} could not be made: {said}")
            digest = digest_of(partial)
            os.replace(partial, self._blobs / f"sha256-{digest.removeprefix('sha256:')}")
        return digest

    def stop(self) -> None:
        self._stopped = True
        if self._process:
            self._process.kill()


def _quantize_here(source: str, target: str, quant: str) -> None:
    """The process of `Quantizing`: says which tensor it is at, and dies with its parent."""
    import ctypes

    import llama_cpp as library

    def watch():
        sys.stdin.read()
        os._exit(1)

    @library.llama_log_callback
    def log(level, text, _):
        if text.startswith(b"["):
            print(text.decode("utf-8", errors="replace").split("]")[0] + "]", flush=True)

    threading.Thread(target=watch, daemon=True).start()
    library.llama_log_set(log, ctypes.c_void_p(0))
    try:
        models.quantize(Path(source), Path(target), quant)
    except models.ModelError as error:
        sys.exit(str(error).replace(source, "this model"))
    os._exit(0)


@contextlib.contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """A new path in a folder; what was not moved from there is removed."""
    handle, name = tempfile.mkstemp(prefix="partial-", dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    except OSError as error:
        raise ServingError(f"the file cannot be written: {error.strerror or error}", 507) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)


def digest_of(path: Path) -> str:
    """A file's digest, as Ollama writes it."""
    return f"sha256:{models.sha256(path)}"


if __name__ == "__main__":
    _quantize_here(*sys.argv[1:])
