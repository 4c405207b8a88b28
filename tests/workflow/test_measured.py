"""A run measures what was not measured before and nothing else, and can be told to measure in batches."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from drank.runtime.files import read_json
from tests.workflow.runs import PRINTED, PROJECT, Run

pytestmark = pytest.mark.heavy

METHODS = {"dense": {}, "svd": {}, "full-rank": {}}
KINDS = ("perplexity", "zeroshot")
EVERY = [f"results/{kind}/tiny/{cell}.json" for kind in KINDS for cell in ("dense/0", "full-rank/0", "svd/0.3")]
CELLS = ["dense/0", "svd/0.3"]
RECORDS = [f"results/{kind}/tiny/{cell}.json" for kind in KINDS for cell in CELLS]
REPORTING = dict.fromkeys(("cards", "summary", *PRINTED, "report"), 1)


@pytest.fixture(scope="module")
def run(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A folder in which nothing has run."""
    run = Run(tmp_path_factory.mktemp("measured") / "run", PROJECT)
    shutil.copytree(inputs, run.folder)
    run.change(methods=METHODS, throughput={"batch": 1, "prompt": 4, "generate": 2, "repeats": 1})
    return run


@pytest.fixture(scope="module")
def batched(run: Run) -> Run:
    """A run that has measured everything in three batches, of which each did its own part."""
    parts: list[dict[str, int]] = []
    for number in (1, 2, 3):
        asked = ("evaluations", "--batch", f"evaluations={number}/3")
        parts.append({rule: count for rule, count in run.planned(*asked).items() if rule in ("evaluate", "throughput", "evaluations")})
        there = {path for path in EVERY if (run.folder / path).is_file()}
        done = run.snakemake(*asked)
        assert done.returncode == 0, done.stdout
        new = {path for path in EVERY if (run.folder / path).is_file()} - there
        assert len(new) == 2 * parts[-1].get("evaluate", 0), "both records of each model"
    assert parts == [{"evaluate": 2}, {"evaluate": 1, "throughput": 1}, {"throughput": 1, "evaluations": 1}]
    return run


def told(run: Run, place: str) -> list[str]:
    """What the log of an evaluation says of each text and task."""
    log = (run.folder / f"results/logs/evaluate/tiny/{place}.log").read_text()
    return [f"{name} {how}" for name, how in re.findall(r"INFO (\w+ of \w+): (measured|kept)", log)]


def measured_again(run: Run, **changes: Any) -> list[str]:
    """What the evaluation of each of two models measures and keeps with another configuration."""
    run.change(**changes)
    done = run.snakemake(*RECORDS)
    assert done.returncode == 0, done.stdout
    (found,) = {tuple(told(run, cell)) for cell in CELLS}
    return list(found)


def numbers(run: Run) -> dict[str, Any]:
    """Their records but for when they were made and what that took."""
    records = {path: read_json(run.folder / path) for path in RECORDS}
    for record in records.values():
        for key in ("date", "seconds", "peak_memory_bytes", "measured"):
            del record["provenance"][key]
    return records


def test_after_the_batches_only_the_reporting_is_left(batched: Run) -> None:
    assert batched.planned() == REPORTING


def test_one_more_task_corpus_or_limit_measures_that_alone(batched: Run) -> None:
    """The records are those of a run that measures everything, to the last digit."""
    run, config = batched, batched.config
    corpora = {**config["corpora"], "more": {"files": {"test": "train.txt"}}}
    tasks = {**config["tasks"], "shots": {"yaml": "task.yaml", "fewshot": 1}}
    asked, texts = {"tasks": ["words", "shots"]}, {**config["perplexity"], "corpora": ["words", "more"]}
    assert measured_again(run, corpora=corpora, perplexity=texts, tasks=tasks, zeroshot=asked) == [
        "perplexity of words kept",
        "perplexity of more measured",
        "continuations of words kept",
        "continuations of more measured",
        "zeroshot of words kept",
        "zeroshot of shots measured",
    ]
    assert measured_again(run, zeroshot={**asked, "limit": 7}) == [
        "perplexity of words kept",
        "perplexity of more kept",
        "continuations of words kept",
        "continuations of more kept",
        "zeroshot of words measured",
        "zeroshot of shots measured",
    ]
    assert all(line.endswith("kept") for line in measured_again(run, zeroshot=asked)), "what was measured before the limit is there"
    found = numbers(run)
    shutil.rmtree(run.folder / "results/measured")
    for path in RECORDS:
        (run.folder / path).unlink()
    assert all(line.endswith("measured") for line in measured_again(run))
    assert numbers(run) == found


def test_a_deleted_record_is_made_without_measuring(batched: Run) -> None:
    path = batched.folder / RECORDS[0]
    before = read_json(path)
    path.unlink()
    done = batched.snakemake(RECORDS[0])
    assert done.returncode == 0, done.stdout
    assert {line.split()[-1] for line in told(batched, CELLS[0])} == {"kept"}
    assert read_json(path)["results"] == before["results"]


def test_shares_measure_what_is_new_alone(batched: Run) -> None:
    perplexity = batched.config["perplexity"]
    batched.change(compute={"shards": 2}, perplexity={**perplexity, "windows": 6})
    done = batched.snakemake(RECORDS[0])
    assert done.returncode == 0, done.stdout
    for share in ("1-of-2", "2-of-2"):
        lines = told(batched, f"{CELLS[0]}/{share}")
        assert {line for line in lines if line.startswith("perplexity") and line.endswith("measured")}
        assert {line.split()[-1] for line in lines if line.startswith("zeroshot")} == {"kept"}
    assert not list((batched.folder / "results/measured").rglob("*-of-*"))
    assert read_json(batched.folder / RECORDS[0])["results"][1]["count"] == 6
    batched.change(compute={}, perplexity=perplexity)
