"""What steps run, as Python sees it run, is what the hash of their code holds."""

import os
import sys
import threading
from pathlib import Path
from unittest.mock import patch

import pytest

import drank
from drank.calls import work
from drank.runtime import codehash
from drank.runtime.codehash import PROJECT, WITHOUT_EFFECT, reached
from tests.workflow.runs import WORDS, write_model

WATCHED = str(PROJECT / "drank") + os.sep
FEW = {"windows": 8, "length": 32, "threads": 1}
TIMED = {"batch": 1, "prompt": 8, "generate": 4, "repeats": 2}


class Watch:
    """Stands before the steps and notes which definitions of drank each runs."""

    def __init__(self):
        self.ran = {}
        self.step_of = work.step_of

    def __call__(self, rule):
        run, seen = self.step_of(rule), self.ran.setdefault(rule, set())

        def note(frame, event, _):
            code = frame.f_code
            if event == "call" and code.co_filename.startswith(WATCHED) and not code.co_name.startswith("<"):
                seen.add((code.co_filename, code.co_qualname.partition(".")[0]))

        def watched(*arguments, **named):
            threading.setprofile(note)
            sys.setprofile(note)
            try:
                return run(*arguments, **named)
            finally:
                sys.setprofile(None)
                threading.setprofile(None)

        return watched


with patch.object(codehash, "WITHOUT_EFFECT", frozenset()):
    APART = {(node.module, node.name) for node in reached("drank.models.quantizer", *WITHOUT_EFFECT).nodes}
"""What stands ready in every process that loads transformers, for a compressed model, and lets others pass; and what changes no result."""


def module_of(file):
    name = ".".join(Path(file).relative_to(PROJECT).with_suffix("").parts)
    return name.removesuffix(".__init__")


@pytest.mark.parametrize("method", ["d-rank", "d-rank-released", "l-rank", "asvd-search", "swift-svd", "io-svd", "zs-svd"])
def test_every_function_that_a_step_calls_is_in_its_hash(method, tmp_path, monkeypatch):
    write_model(tmp_path / "tiny")
    watch = Watch()
    monkeypatch.setattr(work, "step_of", watch)
    text = " ".join(WORDS * 200)
    drank.compress(tmp_path / "tiny", method, 0.4, text, tmp_path / "small", **FEW)
    drank.evaluate(tmp_path / "small", text=text, seen=True, length=32, windows=4, threads=1, throughput=TIMED)
    assert {"source", "tokenize", "spectrum", "allocate", "compress", "evaluate", "throughput"} <= watch.ran.keys()
    for rule, ran in watch.ran.items():
        known = {(node.module, node.name) for node in reached(PROJECT / f"workflow/scripts/{rule}.py").nodes}
        named = {(module_of(file), name) for file, name in ran}
        assert named, rule
        missing = {(module, name) for module, name in named - known - APART if module not in WITHOUT_EFFECT}
        assert not missing, f"{rule} runs what its hash does not hold"
