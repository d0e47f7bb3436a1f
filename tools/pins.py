"""Pin every package, direct or not, so that a clone made next year gets what was tested.

Resolves pyproject.toml for all its Pythons and platforms at once and writes the answer twice: to
constraints.txt, for pip, and into [tool.uv] constraint-dependencies, for uv. uv.lock would hold the
versions too, but it records the address of the index as well. A version stays as it is while it
can; delete its line in constraints.txt to take the newest.
"""

import re
import subprocess
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
INLINE = re.compile(r"^constraint-dependencies = \[.*?^\]\n", re.MULTILINE | re.DOTALL)
COMPILE = [
    *("uv", "pip", "compile", "pyproject.toml", "-o", "constraints.txt", "--quiet"),
    *("--universal", "--all-extras", "--python-version", "3.11", "--fork-strategy", "fewest"),
    *("--no-header", "--no-annotate"),
]


def differ() -> bool:
    """Whether constraints.txt and the list in pyproject.toml say different things."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["uv"]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return settings["constraint-dependencies"] != pins


def resolve() -> None:
    """Resolve anew and write both lists."""
    pyproject, constraints = ROOT / "pyproject.toml", ROOT / "constraints.txt"
    text = pyproject.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        # Without the old list, which would hold everything where it is.
        Path(folder, "pyproject.toml").write_text(INLINE.sub("", text), encoding="utf-8")
        Path(folder, "constraints.txt").write_bytes(constraints.read_bytes())
        subprocess.run(COMPILE, cwd=folder, check=True)
        pins = Path(folder, "constraints.txt").read_text(encoding="utf-8")
    rows = "".join(f'    "{pin}",\n' for pin in pins.splitlines())
    text = INLINE.sub(lambda _: f"constraint-dependencies = [\n{rows}]\n", text)
    constraints.write_text(pins, encoding="utf-8", newline="\n")
    pyproject.write_text(text, encoding="utf-8", newline="\n")


def main(check: bool) -> None:
    if not check:
        resolve()
    if differ():
        raise SystemExit("constraints.txt and pyproject.toml differ: run python -m tools pins")
    print("the pins are the same in both files")
