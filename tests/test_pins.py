"""One set of versions, in pyproject.toml, constraints.txt and environment.yml."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, UV = PYPROJECT["project"], PYPROJECT["tool"]["uv"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
CONDA_ONLY = {"python", "pip", "ollama"}  # conda's ollama is the server, PyPI's the client


def versions(lines):
    """{name: version} of requirement lines; anything but one `name==version` is an error."""
    found = {}
    for requirement in map(Requirement, lines):
        exact = re.fullmatch(r"==([^*]+)", str(requirement.specifier))
        assert exact, f"{requirement} is not pinned with =="
        found[canonicalize_name(requirement.name)] = exact[1]
    return found


def direct(*extras):
    """{name: version} of the core dependencies and of these extras (without `all`)."""
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return versions(lines)


def every_extra():
    return [name for name in PROJECT["optional-dependencies"] if name != "all"]


def test_direct_dependencies_are_pinned_and_hold_transitively():
    pins = versions(CONSTRAINTS)
    for name, version in direct(*every_extra()).items():
        assert pins.get(name) == version, f"{name}: run `python -m tools pins`"


def test_all_is_every_extra():
    (everything,) = map(Requirement, PROJECT["optional-dependencies"]["all"])
    assert everything.name == PROJECT["name"]
    assert sorted(everything.extras) == sorted(every_extra())


def test_constraints_are_the_inline_list():
    assert UV["constraint-dependencies"] == CONSTRAINTS, "run `python -m tools pins`"
    assert not [line for line in CONSTRAINTS if re.search(r"://|--|\s@\s|#", line)]


def test_metadata_for_uv_is_of_the_pinned_versions():
    pins = direct(*every_extra())
    for entry in UV["dependency-metadata"]:
        assert pins[entry["name"]] == entry["version"]


def test_torch_and_vllm_stay_outside():
    names = set(direct(*every_extra())) | set(versions(CONSTRAINTS))
    assert not [name for name in names if re.match(r"(torch|vllm|nvidia|triton)", name)]


def test_environment_yml_says_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["channels"][0] == "conda-forge"
    (nested,) = [line for line in environment["dependencies"] if isinstance(line, dict)]
    conda = [line for line in environment["dependencies"] if isinstance(line, str)]
    options = [line for line in nested["pip"] if line.startswith("-")]
    assert sorted(options) == ["-c constraints.txt", "-e ."]
    from_pip = versions(line for line in nested["pip"] if not line.startswith("-"))

    pins = direct(*every_extra())
    from_conda = {}
    for line in conda:
        name, spec = re.fullmatch(r"([\w.-]+)(.*)", line).groups()
        if name not in CONDA_ONLY:
            from_conda[name] = Requirement(name + re.sub(r"^=(?!=)", "==", spec)).specifier
    for name, specifier in from_conda.items():
        assert pins[name] in specifier, f"conda's {name}{specifier} leaves out {pins[name]}"
    for name, version in from_pip.items():
        assert pins.get(name) == version, f"{name} differs from pyproject.toml"
    missing = set(direct(*every_extra())) - set(from_pip) - set(from_conda)
    assert not missing, f"environment.yml lacks {sorted(missing)}"
