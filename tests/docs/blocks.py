"""The fenced blocks of the documentation, and the folder and environment in which they run.

`bash` and `python` blocks run, a page's in their order and in one folder, each in a process of its own. A block that cannot has its
reason in a comment on the line before it, which neither GitHub nor the site shows: `<!-- not run: needs a network -->`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]

FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n)?(?P<fence>`{3,})(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=fence)[ ]*$", re.M | re.S
)

REASONS = ("needs a network", "needs a GPU", "needs a cluster", "needs your model", "takes minutes", "takes an hour")
"""What may keep a block from being run."""

SECONDS = 600
"""After this long a block counts as hung."""


@dataclass(frozen=True)
class Block:
    """A fenced block: where it starts, its language, its text, and why it is not run, if it is not."""

    place: str
    language: str
    code: str
    reason: str | None

    @property
    def runs(self) -> bool:
        """Whether it is a command or a program that is to run."""
        return self.language in ("bash", "python") and self.reason is None


def pages() -> list[Path]:
    """README, the configuration's and the contributors' guide, and every page of docs/."""
    return [PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md")] + sorted((PROJECT / "docs").rglob("*.md"))


def name_of(page: Path) -> str:
    """A page's path in the repository."""
    return page.relative_to(PROJECT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page in their order; blocks inside others are not looked for."""
    text = page.read_text("utf-8")
    return [
        Block(f"{name_of(page)}:{text.count(chr(10), 0, match.start('fence')) + 1}", match["language"], match["code"], match["reason"])
        for match in FENCE.finditer(text)
    ]


def environment(folder: Path) -> dict[str, str]:
    """What the blocks run in: `drank` and the tools of this interpreter on the path, this repository's code, no network, one thread."""
    tools = folder / ".tools"
    tools.mkdir()
    (tools / "drank").write_text(f"#!{sys.executable}\nimport sys\n{_entry_point()}\n")
    (tools / "drank").chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    code = os.pathsep.join(part for part in (str(PROJECT), os.environ.get("PYTHONPATH")) if part)
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return os.environ | offline | {"PATH": path, "PYTHONPATH": code, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}


def _entry_point() -> str:
    """The lines that do what the command `drank` of an installation does."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    module, _, function = project.get("scripts", {}).get("drank", "drank.__main__:main").partition(":")
    return f"from {module} import {function}\nsys.exit({function}())"


def run(block: Block, folder: Path, variables: dict[str, str]) -> None:
    """Run a block in a folder; raises AssertionError with its place, its text and what it printed where it fails."""
    program = ["bash", "-euo", "pipefail", "-c", block.code] if block.language == "bash" else [sys.executable, "-c", block.code]
    with on_one_core():
        process = subprocess.Popen(program, cwd=folder, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        said, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"{block.place} has not ended after {SECONDS} s\n\n{block.code}") from None
    assert process.returncode == 0, f"{block.place} ends with {process.returncode}\n\n{block.code}\n{said[-4000:]}"


@contextmanager
def on_one_core() -> Iterator[None]:
    """What is started meanwhile has one core, as tests that run side by side should; calls take all that they may use."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = sorted(os.sched_getaffinity(0))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    os.sched_setaffinity(0, {cores[number % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
