"""A package called vllm that gives tokens as vLLM's engine does, as much of it as is asked, and a Python that has it."""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGE = """
import json, os, time
from types import SimpleNamespace as Names

__version__ = "0.0.1"

FAULT = os.environ.get("FAULT", "")
SEEN = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "CUDA_VISIBLE_DEVICES", "VLLM_ENABLE_V1_MULTIPROCESSING", "VLLM_CPU_KVCACHE_SPACE")
SEEN += ("PYTHONSAFEPATH",)

def SamplingParams(**given):
    assert given["temperature"] == 0 and given["ignore_eos"] and not given["detokenize"]
    return Names(**given)

class LLM:
    def __init__(self, **given):
        if FAULT == "refuses":
            raise ValueError("no such model: " + given["model"])
        if place := os.environ.get("ASKED"):
            seen = {name: os.environ.get(name) for name in SEEN}
            with open(place, "w") as file:
                json.dump({"options": given, "environment": seen}, file)
        self.llm_engine, self.wanted, self.requests = self, [], {}

    def add_request(self, name, prompt, parameters):
        assert name not in self.requests
        self.requests[name] = Names(prompt=prompt["prompt_token_ids"], given=[], most=parameters.max_tokens)

    def has_unfinished_requests(self):
        return bool(self.requests)

    def step(self):
        until = time.process_time() + (2 if FAULT == "works long" else 0.02)
        while time.process_time() < until:
            pass
        if FAULT == "dies" and any(one.given for one in self.requests.values()):
            print("out of memory, says the engine", flush=True)
            os._exit(3)
        if FAULT == "hangs":
            time.sleep(1000)
        waiting = list(self.requests.values())[: 1 if FAULT == "one by one" else None]
        for one in waiting:
            one.given.append(0)
        self.requests = {name: one for name, one in self.requests.items() if len(one.given) < one.most}
        return [Names(outputs=[Names(token_ids=list(one.given))]) for one in waiting]
"""


def python_with_engine(folder: Path) -> Path:
    """The path of a Python that finds the package in this folder, beside all that this one has."""
    package, python = folder / "packages" / "vllm", folder / "python"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(PACKAGE)
    (package / "platforms.py").write_text("from types import SimpleNamespace as Names\ncurrent_platform = Names(device_type='cpu')\n")
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{package.parent}:$PYTHONPATH" exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return python
