"""The doctor: `python -m helpers`. And `python -m helpers lab 01`: a lab of your own to fill in."""

import argparse
import platform
import shutil
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from helpers import backends, model

ROOT = Path(__file__).parents[1]
PACKAGES = ["jupyterlab", "ipywidgets", "openai", "ollama", "xllamacpp", "gguf", "llama-cpp-python"]
OPTIONAL = {"llama-cpp-python": "uv sync --inexact --extra inside, for lessons 06 to 09"}
ROOM = 500e6  # bytes: the files built of the course's models, with space to spare


def doctor() -> bool:
    """Print what is there and what is missing, with the command that mends it; ask the model."""
    from openai import OpenAIError

    good = True

    def say(fine: bool, what: str, mend: str = "", needed: bool = True) -> None:
        nonlocal good
        good = good and (fine or not needed)
        mark = "[ok]     " if fine else "[missing]" if needed else "[no]     "
        print(mark, what + (f"  ->  {mend}" if mend and not fine else ""))

    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    here = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    say(supported, here, "install Python 3.11, 3.12 or 3.13")
    for package in PACKAGES:
        try:
            say(True, f"{package} {version(package)}")
        except PackageNotFoundError:
            mend = OPTIONAL.get(
                package, "uv sync --inexact, or pip install -c constraints.txt -e ."
            )
            say(False, package, mend, needed=package not in OPTIONAL)
    place = model.cache()
    existing = next(path for path in [place, *place.parents] if path.exists())
    free = shutil.disk_usage(existing).free
    shown = str(place).replace(str(Path.home()), "~")
    mend = "make room there, or set XDG_CACHE_HOME to another folder"
    say(free > ROOM, f"{free / 1e9:.1f} GB free for models in {shown}", mend)
    for name, row in backends.available().items():
        say(not row.missing, f"backend {name}", row.missing, needed=name == "llama.cpp")
    try:
        with backends.start() as backend:
            backend.health()
            say(True, f"model {backend.model} over {backend.name}")
            question = "Who are you?"
            print(f"\n> {question}")
            print(f"  {_ask(backend, question)}")
    except (backends.BackendError, model.ModelError, OpenAIError) as error:
        say(False, "an answer from the model", str(error))
    print("\nAll is well." if good else "\nMend what is missing, then run the doctor again.")
    return good


def _ask(backend: backends.Backend, question: str) -> str:
    """The model's answer, and how fast it came."""
    messages = [{"role": "user", "content": question}]
    with backend.openai() as client:
        started = time.perf_counter()
        reply = client.chat.completions.create(
            model=backend.model, messages=messages, temperature=0, max_tokens=100
        )
        seconds = time.perf_counter() - started
    answer = reply.choices[0].message.content
    if not reply.usage:  # not every server counts
        return f"{answer}  ({seconds:.1f} s)"
    tokens = reply.usage.completion_tokens
    return f"{answer}  ({tokens} tokens, {tokens / seconds:.0f} tokens/s)"


def copy_lab(number: str) -> Path:
    """Copy a lab into work/ to be filled in there; a copy that exists is left as it is."""
    labs = sorted((ROOT / "labs").glob("*.ipynb"))
    found = [lab for lab in labs if lab.name.split("_")[0] == number.zfill(2)]
    if not found:
        there = ", ".join(lab.name.split("_")[0] for lab in labs)
        raise SystemExit(f"there is no lab {number}: the labs are {there}")
    target = ROOT / "work" / found[0].name
    if target.exists():
        print(f"{target.relative_to(ROOT)} is there already, as you left it")
    else:
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(found[0], target)
        print(f"{target.relative_to(ROOT)} is yours")
    opened = f'"{target.relative_to(ROOT).as_posix()}"'
    print(f"open it: uv run jupyter lab --ServerApp.root_dir=. {opened}")
    return target


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m helpers", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    lab = commands.add_parser("lab", help="copy a lab into work/, to be filled in there")
    lab.add_argument("number", help="the lab's number, such as 01")
    arguments = parser.parse_args()
    if arguments.command == "lab":
        copy_lab(arguments.number)
    elif not doctor():
        raise SystemExit(1)


if __name__ == "__main__":
    main()
