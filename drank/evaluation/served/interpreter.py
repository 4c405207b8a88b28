"""Which Python has vLLM, that of this process or the one that a variable of the environment names, and in what environment it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from drank.models.serving.server import how_to_install

VARIABLE = "DRANK_VLLM"
"""Names the Python of an environment with vLLM, which pins torch and transformers and so often has one of its own."""

PROBE = """
import importlib.util, sys
found = importlib.util.find_spec("vllm")
if sys.version_info < (3, 11):
    print("is Python %d.%d, and drank needs 3.11" % sys.version_info[:2])
else:
    print("has no vLLM" if found is None or found.origin is None else "ready")
"""
"""Says what keeps a Python from running vLLM; a folder called vllm is none, which Python finds too."""


def interpreter() -> str:
    """The path of a Python that has vLLM; raises ImportError where none is known, or the one that is named has none."""
    named = os.environ.get(VARIABLE)
    if named and not Path(named).is_file():
        raise ImportError(f"{VARIABLE} names {named}, which is no file; name the Python of an environment with vLLM")
    python = str(Path(named).absolute()) if named else sys.executable  # a link is left as it is: by its place it knows its environment
    lacks = _lacks(python)
    if named and lacks:
        raise ImportError(
            f"{VARIABLE} names {named}, which {lacks}; name the Python of an environment with vLLM, or install it there: {how_to_install()}"
        )
    if lacks:
        raise ImportError(
            f"throughput.engine is vllm, which is not installed here. Name the Python of an environment that has it, {VARIABLE}=PATH (in a "
            f"clone `make .vllm/.ready` makes one: {VARIABLE}=$PWD/.vllm/bin/python), or install it here: {how_to_install()}"
        )
    return python


def environment_of(python: str, without: Iterable[str] = ()) -> dict[str, str]:
    """This environment as a Python is started in, `without` some variables.

    The folder where it starts is no place of modules, nor are those of PYTHONPATH where it is another Python than this.
    """
    gone = {*without, *(() if python == sys.executable else ("PYTHONPATH",))}
    return {name: value for name, value in os.environ.items() if name not in gone} | {"PYTHONSAFEPATH": "1"}


def _lacks(python: str) -> str:
    """What keeps a Python from running vLLM; nothing where it can."""
    try:
        asked = [python, "-c", PROBE]
        told = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=environment_of(python))
    except OSError as error:
        return f"cannot be run ({error.strerror})"
    said = told.stdout.rstrip().rpartition("\n")[2]
    return "" if said == "ready" else said if said.startswith(("is ", "has ")) else "is no Python"
