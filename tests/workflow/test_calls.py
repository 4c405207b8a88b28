"""A call and a run are one implementation: the same model and numbers to the last bit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import drank
from drank.reporting.records import Record
from drank.runtime.files import read_json
from tests.workflow.runs import Run

pytestmark = pytest.mark.heavy

METHODS = {
    "basis-sharing": {},
    "l-rank": {},
    "swift-svd": {},
    "asvd-search": {},
    "zs-svd": {"finetune_from": 0.2},
    "io-svd": {"allocator": "optimal", "steps": 2},
    "gfwsvd": {},
    "d-rank-released": {},
}
SEARCH = {"windows": 4}
FEW = {"windows": 8, "length": 32, "threads": 1}


@pytest.fixture(scope="module")
def made(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that makes models by methods which between them take every step, and measures nothing."""
    folder = tmp_path_factory.mktemp("made") / "run"
    shutil.copytree(inputs, folder)
    run = Run(folder, Path(__file__).parents[2])
    run.change(methods=METHODS, search=SEARCH, perplexity=None, zeroshot=None, throughput=None)
    done = run.snakemake()
    assert done.returncode == 0, done.stdout
    return run


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_call_makes_the_model_of_a_run(made: Run, method: str, work: Path, tmp_path: Path) -> None:
    options = {**METHODS[method], **FEW, "search": SEARCH, "work": work}
    drank.compress(made.folder / "model", method, 0.3, made.folder / "train.txt", tmp_path / "out", **options)
    theirs = made.folder / f"results/models/tiny/{method}/0.3"
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        assert (tmp_path / "out" / name).read_bytes() == (theirs / name).read_bytes(), name
    for name, key in (("plan.json", "settings"), ("plan.json", "groups"), ("making.json", "method")):
        assert read_json(tmp_path / "out" / name)[key] == read_json(theirs / name)[key], key


@pytest.mark.parametrize(("method", "options"), [("svd-llm", {}), ("d-rank", {"refit_from": 0.2})])
def test_a_call_measures_what_a_run_does(finished: Run, method: str, options: dict, tmp_path: Path) -> None:
    theirs = finished.folder / f"results/models/tiny/{method}/0.3"
    drank.compress(finished.folder / "model", method, 0.3, finished.folder / "train.txt", tmp_path / "out", **options, **FEW)
    assert (tmp_path / "out/model.safetensors").read_bytes() == (theirs / "model.safetensors").read_bytes()
    text, tasks = finished.folder / "test.txt", {"words": {"yaml": str(finished.folder / "task.yaml")}}
    found = drank.evaluate(tmp_path / "out", text, tasks, throughput={"batch": 1, "prompt": 8, "generate": 4, "repeats": 2}, **FEW)
    for kind in ("perplexity", "zeroshot"):
        record = Record.read(finished.folder / f"results/{kind}/tiny/{method}/0.3.json")
        ours = [(row.metric, row.value, row.ci_low, row.ci_high, row.count) for row in found[kind].results]
        assert ours == [(row.metric, row.value, row.ci_low, row.ci_high, row.count) for row in record.results]
        assert found[kind].size == record.size
    assert {row.dataset for row in found["throughput"].results} == {"prefill", "decode", "memory", "machine"}
