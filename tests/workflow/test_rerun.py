"""What runs again after a change, and that nothing runs without one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

import pandas as pd

from drank.methods import Method
from drank.models.inspection import inspect
from drank.models.licence import front_matter
from drank.runtime.files import read_json
from tests.workflow.edits import replaced
from tests.workflow.report_links import links_in
from tests.workflow.runs import PRINTED, Run

PER_MODEL = {"evaluate", "throughput"}
TOP = "from __future__ import annotations\n"
REPORTING = {"cards", "summary", *PRINTED, "report"}


@contextmanager
def edited(run: Run, module: str, old: str, new: str) -> Iterator[None]:
    """One module of the run's project with a piece of code replaced."""
    path = run.project / "drank" / module
    text = path.read_text()
    assert text.count(old) >= 1, f"{module} no longer contains {old!r}"
    path.write_text(text.replace(old, new, 1))
    try:
        yield
    finally:
        path.write_text(text)


def test_everything_is_there(finished: Run) -> None:
    summary = pd.read_csv(finished.folder / "results/summary.csv")
    assert {"perplexity", "accuracy", "tokens_per_second"} <= set(summary["metric"])
    assert set(summary["method"]) == {"dense", "svd-llm", "d-rank"}
    compressed = summary[summary["method"] != "dense"]
    assert (compressed["ratio_stored"] >= 0.3).all()
    for path in ("report.html", "tables/main.tex", "tables/main.csv", "figures/perplexity.pdf", "figures/perplexity.png"):
        assert (finished.folder / "results" / path).stat().st_size > 200, path


def test_the_report_leads_to_every_file_that_a_number_is_from(finished: Run) -> None:
    to, dead = links_in(finished.folder)
    results = finished.folder / "results"
    assert dead == set()
    wanted = [*results.glob("*/tiny/**/*.json")]
    kinds = ("perplexity", "zeroshot", "throughput", "plans")
    assert {path.relative_to(finished.folder).as_posix() for path in wanted if path.relative_to(results).parts[0] in kinds} <= to
    assert {f"results/tables/{name}.csv" for name in ("main", "paired", "timings")} <= to
    assert {"results/models/tiny/svd-llm/0.3/README.md", "results/models/tiny/d-rank/0.3/README.md"} <= to


def test_plans_records_and_model_folders_tell_the_same_whole_method(finished: Run) -> None:
    results, every = finished.folder / "results", {field.name for field in fields(Method)}
    records = [read_json(path) for kind in ("perplexity", "zeroshot", "throughput") for path in (results / kind).rglob("*.json")]
    assert len(records) == 3 * 3
    for record in records:
        told, place = record["provenance"], f"{record['method']}/{record['ratio']:g}"
        assert told["method"].keys() == every and told["date"] and told["machine"]["cpu"], place
        assert (told["calibration"] is None) == (told["making"] is None) == (record["method"] == "dense"), place
        if told["making"]:
            plan, making = read_json(results / f"plans/tiny/{place}.json"), read_json(results / f"models/tiny/{place}/making.json")
            assert plan["settings"] == making["method"] == told["method"], place
            assert plan["calibration"] == making["calibration"] == told["calibration"], place
    (refitted,) = {record["provenance"]["method"]["refit_from"] for record in records if record["method"] == "d-rank"}
    assert refitted == 0.2


def test_numbers_of_a_run_are_in_the_cards_of_its_models(finished: Run) -> None:
    """Each card has the records of its own model beside those of the dense one, and that the cards are written makes nothing run again."""
    results = finished.folder / "results"
    records = [read_json(path) for kind in ("perplexity", "zeroshot", "throughput") for path in (results / kind).rglob("*.json")]
    folders = sorted((results / "models/tiny").glob("*/*"))
    cards = [f"results/models/tiny/{folder.parent.name}/{folder.name}/README.md" for folder in folders]
    assert sorted((results / "cards.txt").read_text().split()) == cards
    for folder in folders:
        assert inspect(folder).verified.startswith("verified: 1 weight file")
        text, (method, ratio) = (folder / "README.md").read_text(), folder.parts[-2:]
        own = [record for record in records if (record["method"], record["ratio"]) == (method, float(ratio))]
        assert len(own) == 3 and "| measured on | metric | this model | dense |" in text
        assert {row["value"] for record in own[:2] for row in record["results"]} >= {
            metric["value"]
            for index in front_matter(folder / "README.md")["model-index"]
            for result in index["results"]
            for metric in result["metrics"]
        }
        assert str(finished.folder) not in text
    assert finished.planned() == {}


def test_nothing_to_do(finished: Run) -> None:
    assert finished.planned() == {}


def test_one_more_ratio_recomputes_no_calibration_and_no_spectrum(finished: Run) -> None:
    finished.change(ratios=[0.3, 0.5])
    try:
        jobs = finished.planned()
    finally:
        finished.change(ratios=[0.3])
    assert jobs == {"allocate": 2, "compress": 2, "evaluate": 2, "throughput": 1, **dict.fromkeys(REPORTING, 1)}


def test_an_edit_of_the_tables_reruns_tables_and_what_shows_them(finished: Run) -> None:
    with edited(finished, "reporting/tables/layout.py", "toprule", "hline"):
        assert set(finished.planned()) == {"main", "paired", "timings", "report"}, "the report shows the tables"


def test_an_edit_of_the_allocator_reruns_from_allocation_on(finished: Run) -> None:
    with edited(finished, "allocation/rounding.py", "1e-9", "2e-9"):
        jobs = finished.planned()
    assert {"allocate", "compress", *PER_MODEL, *REPORTING} <= jobs.keys()
    assert not {"corpus", "source", "tokenize", "calibrate", "spectrum"} & jobs.keys()
    assert jobs["evaluate"] == 2, "the dense model has no plan"


def test_a_comment_reruns_nothing(finished: Run) -> None:
    with edited(finished, "allocation/rounding.py", TOP, f"{TOP}\n# a comment\n"):
        assert finished.planned() == {}


def test_a_changed_text_is_read_again(finished: Run) -> None:
    path = finished.folder / "test.txt"
    with replaced(path, path.read_bytes() + b" the end"):
        jobs = finished.planned()
    assert {"corpus", "tokenize", "evaluate"} <= jobs.keys()


def test_every_rule_hashes_the_code_of_its_script(finished: Run) -> None:
    """Rule by rule: what it runs is what it hashes, but for the one that fetches and leaves no result."""
    files = sorted((finished.project / "workflow/rules").glob("*.smk"))
    rules = [rule for path in files for rule in re.split(r"^\s*(?:use )?rule\b", path.read_text(), flags=re.M)[1:]]
    ran, hashed = ([re.findall(pattern, rule) for rule in rules] for pattern in (r'"\.\./scripts/(\w+)\.py"', r'\bcode\("(\w+)\.py"'))
    assert [pair for pair in zip(ran, hashed, strict=True) if pair[0] != pair[1] and pair != (["prefetch"], [])] == []
    assert {name for one in ran for name in one} == {path.stem for path in (finished.project / "workflow/scripts").glob("*.py")}
