"""For each edit the jobs that a finished run then has: a result is current by what it was made of, not by the times and places of files."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.workflow.edits import (
    Edit,
    another_checkout,
    code,
    copied_results,
    moved_model,
    moved_script,
    older_text,
    other_weights,
    reordered,
    result,
    settings,
    touched,
)
from tests.workflow.runs import PRINTED, Run

TOLD = dict.fromkeys(("cards", "summary", "report"), 1)
OF_RECORDS = dict.fromkeys(("main", "paired", "perplexity", "accuracy"), 1) | TOLD  # of perplexities and answers
OF_TIMINGS = dict.fromkeys(("timings", "speed"), 1) | TOLD
REPORTING = dict.fromkeys(("cards", "summary", *PRINTED, "report"), 1)
MEASURING = {"evaluate": 3, "throughput": 2, **REPORTING}
MAKING = {"allocate": 2, "compress": 2, "evaluate": 2, "throughput": 1, **REPORTING}
FROM_CALIBRATION = {"calibrate": 1, "spectrum": 2, **MAKING}
FROM_CORPUS = {"corpus": 1, "tokenize": 2, "overlap": 1, "calibrate": 1, "spectrum": 2, "allocate": 2, "compress": 2, **MEASURING}
FROM_MODEL = {"source": 1, **{rule: count for rule, count in FROM_CORPUS.items() if rule != "corpus"}}
TOP = "from __future__ import annotations\n"

SAME = {
    "nothing": lambda run: ExitStack(),
    "scripts touched": touched("workflow/scripts/*.py"),
    "everything touched": touched("drank/**/*.py", "workflow/**/*", "Snakefile", "model/*", "*.txt", "task.*", "config.yaml"),
    "everything older": touched("drank/**/*.py", "workflow/**/*", "model/*", "*.txt", seconds=-1e8),
    "results touched": touched("results/tokens/**/*", "results/plans/**/*", "results/models/**/*.safetensors"),
    "a script moved": moved_script,
    "the docstring of a script": code("workflow/scripts/calibrate.py", '"""', '"""Well: '),
    "a comment": code("drank/spectra/spectrum.py", TOP, f"{TOP}\n# a comment\n"),
    "an unused function in a file that everything imports": code("drank/runtime/files.py", TOP, f"{TOP}\ndef unused():\n    ...\n"),
    "another family": code("drank/models/families/entries.py", '"gpt2"', '"gpt-two"'),
    "another path of the checkout": another_checkout,
    "the model moved": moved_model,
    "results copied": copied_results,
    "keys in another order, another memory and time": reordered,
    "each step divided in two": settings(compute={"shards": 2}),
    "a deleted log": result("logs/calibrate/tiny.log"),
    "a damaged note": result(".notes/moments/tiny.json", lambda text: text[:50]),
    "a note of something else": result(".notes/moments/tiny.json", lambda _: b"{}"),
    "a damaged list of contents": result("../.snakemake/drank.contents.json", lambda _: b"[1]"),
}

OTHER: dict[str, tuple[Edit, dict[str, int]]] = {
    "an older text": (older_text, {**FROM_CORPUS, "throughput": 1}),
    "other weights": (other_weights, FROM_MODEL),
    "the family of the model": (code("drank/models/families/entries.py", 'reads="heads"', 'reads="values"'), FROM_MODEL),
    "the seed of the calibration": (settings(calibration={"seed": 99}), FROM_CALIBRATION),
    "BOS nowhere in the calibration": (settings(calibration={"bos": "none"}), FROM_CALIBRATION),
    "BOS nowhere in perplexity": (settings(perplexity={"bos": "none"}), {"overlap": 1, "evaluate": 3, **OF_RECORDS}),
    "BOS nowhere in tasks": (settings(zeroshot={"bos": "none"}), {"evaluate": 3, **OF_RECORDS}),
    "BOS nowhere in timings": (settings(throughput={"bos": "none"}), {"throughput": 2, **OF_TIMINGS}),
    "BOS as the family has it": (settings(calibration={"bos": "text"}, perplexity={"bos": "text"}), {"report": 1}),
    "the code of a script": (code("workflow/scripts/calibrate.py", "run(snakemake", "print()\nrun(snakemake"), FROM_CALIBRATION),
    "code of spectra": (code("drank/spectra/decomposition.py", "EXCITED = 1e-12", "EXCITED = 2e-12"), {"spectrum": 2, **MAKING}),
    "code of a refit": (
        code("drank/compression/refit.py", "EXCITED = 1e-6", "EXCITED = 2e-6"),
        {"compress": 2, "evaluate": 2, "throughput": 1, **OF_RECORDS, **OF_TIMINGS},
    ),
    "code of losses": (code("drank/evaluation/losses.py", "TOGETHER = 256", "TOGETHER = 128"), {"evaluate": 3, **OF_RECORDS}),
    "another precision": (settings(compute={"dtype": "bfloat16"}), {**FROM_CALIBRATION, **MEASURING}),
    "the numbers on cards": (code("drank/models/card/numbers.py", "rows = []\n", "rows = [print()]\n"), {"cards": 1}),
    "a script of the report's page": (code("drank/reporting/report/report.js", "as it was", "as it had been"), {"report": 1}),
    "one more ratio": (settings(ratios=[0.3, 0.5]), {"allocate": 2, "compress": 2, "evaluate": 2, "throughput": 1, **REPORTING}),
    "fewer windows of perplexity": (settings(perplexity={"windows": 4}), {"overlap": 1, "evaluate": 3, **OF_RECORDS}),
    "a deleted record": (result("perplexity/tiny/svd-llm/0.3.json"), {"evaluate": 1, **OF_RECORDS}),
    "a deleted timing": (result("throughput/tiny/0.3"), {"throughput": 1, **OF_TIMINGS}),
    "a deleted model": (result("models/tiny/svd-llm/0.3"), {"compress": 1, "evaluate": 1, "throughput": 1, **OF_RECORDS, **OF_TIMINGS}),
    "a deleted spectrum": (
        result("spectra/tiny/whitening-n1"),
        {"spectrum": 1, "allocate": 1, "compress": 1, "evaluate": 1, "throughput": 1, "ranks": 1, **OF_RECORDS, **OF_TIMINGS},
    ),
    "deleted moments": (result("moments/tiny"), FROM_CALIBRATION),
    "a deleted figure": (result("figures/perplexity.pdf"), {"perplexity": 1, "report": 1}),
    "an edited plan": (
        result("plans/tiny/svd-llm/0.3.json", lambda text: text.replace(b"tiny", b"tony")),
        {"allocate": 1, "compress": 1, "evaluate": 1, "throughput": 1, "ranks": 1, **OF_RECORDS, **OF_TIMINGS},
    ),
    "an edited record": (result("zeroshot/tiny/dense/0.json", lambda text: text + b"\n"), {"evaluate": 1, **OF_RECORDS}),
    "a byte of a model": (
        result("models/tiny/svd-llm/0.3/model.safetensors", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        {"compress": 1, "evaluate": 1, "throughput": 1, **OF_RECORDS, **OF_TIMINGS},
    ),
}


@pytest.mark.parametrize("edit", SAME.values(), ids=SAME)
def test_what_changes_no_number_reruns_nothing(finished: Run, edit: Edit) -> None:
    with edit(finished):  # type: ignore[attr-defined]
        assert finished.planned() == {}


@pytest.mark.parametrize("edit, jobs", OTHER.values(), ids=OTHER)
def test_a_change_reruns_what_hangs_on_it(finished: Run, edit: Edit, jobs: dict[str, int]) -> None:
    with edit(finished):  # type: ignore[attr-defined]
        assert finished.planned() == jobs
    assert finished.planned() == {}


def test_another_number_of_cores_reruns_nothing(finished: Run) -> None:
    assert finished.planned("--cores", "1") == finished.planned("--cores", "all") == {}
