"""Artefacts by name: each computes what it needs and no more, shares its runs with others, and grows by what is added to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflow.edits import replaced, settings
from tests.workflow.runs import PROJECT, Run, write_inputs

SPREAD = {"layout": "pivot", "rows": ["method"], "columns": ["ratio"], "over": "draw", "on": "words"}
BETAS = {"layout": "pivot", "rows": ["method", "beta"], "columns": ["ratio"], "on": "words"}


def draws(*seeds: int) -> dict:
    return {**SPREAD, "runs": {"method": ["svd-llm", "d-rank"], "draw": list(seeds)}}


def betas(*values: float) -> dict:
    return {**BETAS, "runs": [{"method": "dense"}, {"method": "d-rank", "beta": list(values)}]}


ARTEFACTS = {"spread": draws(13, 42), "betas": betas(0.1, 0.3), "quality3": {"layout": "quality", "runs": {"method": ["dense", "d-rank"]}}}
END = {"summary": 1, "cards": 1, "report": 1}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """A run with three artefacts that share their runs, finished."""
    folder = tmp_path_factory.mktemp("artefacts")
    write_inputs(folder)
    made = Run(folder, PROJECT)
    with (folder / "other.txt").open("w") as file:
        file.write((folder / "train.txt").read_text()[::-1])
    corpora = {"words": {"files": {"train": "train.txt", "test": "test.txt"}}, "other": {"files": {"train": "other.txt"}}}
    made.change(artefacts=ARTEFACTS, corpora=corpora)
    done = made.snakemake()
    assert done.returncode == 0, done.stdout
    return made


def planned(run: Run, *arguments: str, **changed: dict) -> dict[str, int]:
    """The jobs of a run with these artefacts beside or in place of its own."""
    before = run.config
    run.change(artefacts={**ARTEFACTS, **changed})
    try:
        return run.planned(*arguments)
    finally:
        run.change(**before)


def test_runs_that_several_ask_for_are_made_once(run: Run) -> None:
    models = {path.parent.name for path in (run.folder / "results/models/tiny").glob("*/*")}
    assert models == {"svd-llm", "svd-llm+draw=42", "d-rank", "d-rank+draw=42", "d-rank+beta=0.1"}
    tasks = {path.parent.name for path in (run.folder / "results/zeroshot/tiny").glob("*/*.json")}
    assert tasks == {"dense", "d-rank"}, "tasks are answered for the table that shows them"
    assert not (run.folder / "results/throughput").exists()
    assert run.planned() == {}


def test_the_files_of_an_artefact_are_there_and_hold_its_numbers(run: Run) -> None:
    folder = run.folder / "results/tables"
    for name in ARTEFACTS:
        assert "\\begin{tabular}" in (folder / f"{name}.tabular.tex").read_text()
        assert f"{name}.tabular" in (folder / f"{name}.tex").read_text()
    assert "±" in (run.folder / "results/report.html").read_text()


def test_another_draw_computes_what_hangs_on_it(run: Run) -> None:
    made = {"calibrate": 1, "spectrum": 2, "allocate": 2, "compress": 2, "evaluate_texts": 2}
    assert planned(run, spread=draws(13, 42, 7)) == {**made, "spread": 1, **END}


def test_another_beta_computes_a_plan_a_model_and_its_perplexity(run: Run) -> None:
    assert planned(run, betas=betas(0.1, 0.2, 0.3)) == {"allocate": 1, "compress": 1, "evaluate_texts": 1, "betas": 1, **END}


def test_another_text_to_calibrate_on_computes_what_hangs_on_it(run: Run) -> None:
    made = {"corpus": 1, "tokenize": 1, "overlap": 1, "calibrate": 1, "spectrum": 1, "allocate": 1, "compress": 1, "evaluate_texts": 1}
    other = {**BETAS, "rows": ["corpus"], "runs": {"method": "svd-llm", "corpus": ["words", "other"]}}
    assert planned(run, texts=other) == {**made, "texts": 1, **END}


def test_one_by_its_name_needs_nothing_else(run: Run) -> None:
    jobs = planned(run, "--forceall", "betas")
    assert jobs["betas"] == 1 and jobs["compress"] == 2 and jobs["evaluate_texts"] == 1 and jobs["evaluate"] == 2
    assert not {"spread", "report", "summary", "throughput"} & jobs.keys()


def test_another_number_prints_again_every_artefact_that_quotes_it(run: Run) -> None:
    record = run.folder / "results/perplexity/tiny/d-rank+beta=0.1/0.3.json"
    with replaced(record, record.read_text().replace('"value": ', '"value": 1', 1).encode()):
        jobs = run.planned()
    assert jobs["evaluate_texts"] == 1 and jobs["betas"] == 1 and "spread" not in jobs and "quality3" not in jobs


def test_how_tasks_are_read_is_no_matter_of_runs_that_answer_none(run: Run) -> None:
    with settings(zeroshot={"limit": 7})(run):  # type: ignore[attr-defined]
        jobs = run.planned()
    assert jobs["evaluate"] == 2 and "evaluate_texts" not in jobs


def test_the_manuscript_and_every_number_of_it(run: Run, tmp_path: Path) -> None:
    done = run.snakemake("results/manuscript.tex")
    assert done.returncode == 0, done.stdout
    numbers, text = ((run.folder / f"results/{name}.tex").read_text() for name in ("numbers", "manuscript"))
    assert "{betas/tiny/d-rank+beta=0.1/0.3/words/perplexity}" in numbers
    assert "\\input{tables/betas.tex}" in text and "\\section{Limitations}" in text
