"""Which Python has vLLM: that of this process, or the one that a variable of the environment names."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from drank.models.serving.server import INSTALL

VARIABLE = "DRANK_VLLM"
"""Names the Python of an environment with vLLM, which pins torch and transformers and so often has one of its own."""


HAS_VLLM = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"


def interpreter() -> str:
    """The path of a Python that has vLLM; raises ImportError where none is known, or the one that is named has none."""
    named = os.environ.get(VARIABLE)
    if named and not Path(named).is_file():
        raise ImportError(f"{VARIABLE} names {named}, which is no file; name the Python of an environment with vLLM")
    if named and subprocess.run([named, "-c", HAS_VLLM], stdin=subprocess.DEVNULL, check=False).returncode:
        raise ImportError(f"{VARIABLE} names {named}, a Python that has no vLLM; install it there: {INSTALL}")
    if named:
        return str(Path(named).absolute())  # a link is left as it is: by its place a Python knows its environment
    if importlib.util.find_spec("vllm") is None:
        raise ImportError(
            f"throughput.engine is vllm, which is not installed here. Name the Python of an environment that has it, {VARIABLE}=PATH (in a "
            f"clone `make .vllm/.ready` makes one: {VARIABLE}=$PWD/.vllm/bin/python), or install it here: {INSTALL}"
        )
    return sys.executable
