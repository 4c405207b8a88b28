"""The pins of the project agree: requirements.in, the lock, the conda files, pyproject.toml, and what rules import."""

import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import drank
from drank.runtime import codehash

ROOT = Path(__file__).parents[2]
ENVS = sorted((ROOT / "envs").glob("*.yaml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins_of(lines):
    """Canonical name -> pinned version, of requirement lines; every line has to be an exact pin without a local version."""
    pins = {}
    for line in lines:
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", f"{line} is not an exact pin"
        assert not re.search(r"[+*]", specifier.version), f"{line} pins a local build or a range"
        assert canonicalize_name(requirement.name) not in pins, f"{line} is there twice"
        pins[canonicalize_name(requirement.name)] = specifier.version
    return pins


def lines_of(name):
    text = re.sub(r"#.*", "", (ROOT / "envs" / name).read_text())
    return [line.strip() for line in text.splitlines() if line.strip()]


LOCK = pins_of(lines_of("requirements.lock"))
DIRECT = pins_of(lines_of("requirements.in"))


def pip_block(path):
    dependencies = yaml.safe_load(path.read_text())["dependencies"]
    (block,) = [entry["pip"] for entry in dependencies if isinstance(entry, dict)]
    return block


def needed_by(names):
    """Canonical names of the distributions that installing `names` brings, themselves included, by the metadata of those installed."""
    found, pending = set(), [Requirement(name) for name in names]
    while pending:
        wanted = pending.pop()
        name = canonicalize_name(wanted.name)
        if (name, *sorted(wanted.extras)) in found:
            continue
        found.add((name, *sorted(wanted.extras)))
        for line in requires(name) or []:
            requirement = Requirement(line)
            environments = [{"extra": extra} for extra in wanted.extras] or [{"extra": ""}]
            if requirement.marker is None or any(requirement.marker.evaluate(environment) for environment in environments):
                pending.append(requirement)
    return {name for name, *_ in found}


def test_every_direct_pin_is_in_the_lock():
    assert {name: LOCK.get(name) for name in DIRECT} == DIRECT


def test_lock_holds_all_that_the_direct_pins_need_and_nothing_else():
    needed = needed_by(lines_of("requirements.in"))
    cuda = {name for name in needed if name.startswith(("nvidia-", "cuda-")) or name == "triton"}
    assert needed - cuda == LOCK.keys()


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.stem)
def test_conda_file_is_pinned_like_the_lock(path):
    environment = yaml.safe_load(path.read_text())
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    pins = pins_of(pip_block(path))
    assert pins == {name: LOCK[name] for name in pins}
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    assert all(re.fullmatch(r"[a-z0-9-]+ =\d+(\.\d+)+", entry) for entry in conda), conda
    assert {entry.split()[0] for entry in conda} >= {"python", "pip"}
    assert set(pins) <= set(DIRECT), "a conda file asks for a package that requirements.in does not name"


def test_plots_environment_is_free_of_torch():
    assert "torch" not in needed_by(pip_block(ROOT / "envs" / "plots.yaml"))


def test_pyproject_asks_for_no_more_than_the_lock_gives():
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["pipeline"]]
    for line in wanted:
        requirement = Requirement(line)
        assert requirement.specifier.contains(LOCK[canonicalize_name(requirement.name)]), line


def test_version_is_stated_once_and_cited_alike():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert "version" in PROJECT["dynamic"]
    assert citation["version"] == drank.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert f"## [{drank.__version__}]" in changelog


@cache
def providers():
    return packages_distributions()


def third_party(names):
    """{import name: canonical names of the distributions that provide it} of the dotted names that are neither ours nor Python's."""
    tops = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"drank"}
    return {top: {canonicalize_name(name) for name in providers().get(top, ())} for top in tops}


def rules():
    """Name, conda file and script of every rule of the workflow that has both."""
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        for block in re.split(r"^ *rule(?: |:)", path.read_text(), flags=re.MULTILINE)[1:]:
            conda = re.search(r"conda:\s*\"([^\"]+)\"", block)
            script = re.search(r"script:\s*\"([^\"]+)\"", block)
            if conda and script:
                folder = path.parent
                yield pytest.param((folder / conda[1]).resolve(), (folder / script[1]).resolve(), id=block.split(":")[0])


NEVER_CALLED = {"plots.yaml: torch", "torch.yaml: vllm"}
"""Imported inside the functions that the table of weightings holds, of which tables and figures read the names; and in the process of an
engine, which has an environment of its own."""


@pytest.mark.parametrize(("conda", "script"), list(rules()))
def test_environment_of_a_rule_has_all_that_its_code_imports(conda, script):
    """What its code can import: that of drank and of others which its definitions, and the tops of all files that they load, name."""
    given = needed_by(pip_block(conda))
    missing = [f"{conda.name}: {top}" for top, found in third_party(codehash.reached(script).outside).items() if not found & given]
    assert set(missing) <= NEVER_CALLED


def test_every_rule_with_an_environment_is_seen_by_this_file():
    count = sum(len(re.findall(r"^\s+script:", path.read_text(), re.MULTILINE)) for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    assert len(list(rules())) == count
