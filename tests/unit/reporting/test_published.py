"""What the paper reports: the numbers as they are printed, and which are about what a configuration names."""

import re
from collections import Counter
from pathlib import Path

import pytest

from drank.methods import METHODS
from drank.reporting.published import published, published_for
from drank.reporting.published.stated import COLUMNS, TASKS
from tests.unit.reporting.papers_models import CONFIG, LABELS

ROOT = Path(__file__).parents[3]


def value_of(**wanted):
    frame = published()
    for column, value in wanted.items():
        frame = frame[frame[column].isna() if value is None else frame[column] == value]
    assert len(frame) == 1, f"{len(frame)} rows for {wanted}"
    return frame["value"].iloc[0]


def test_every_number_of_the_tables_is_there_once():
    assert Counter(published()["artefact"]) == {
        "table1": 7 * 3,
        "table2": 2 + 4 * 2,
        "table3": 25 * 11,
        "table4": 6 * 10,
        "table5": 7 * 4 * 3,
        "table6": 6 * 3,
        "table7": 6 * 3 - 2,
        "table8": 2 + 8 * 2,
        "figure4": 1,
        "figure5": 3,
    }
    said = [column for column in COLUMNS if column != "value"]
    assert not published().duplicated(said).any()
    assert set(published()["method"]) == set(LABELS) <= set(METHODS)
    assert published()["value"].gt(0).all()


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        ({"artefact": "table1", "dataset": "v", "layer": 14}, 1148),
        ({"artefact": "table1", "dataset": "k", "layer": 3}, 8),
        ({"artefact": "table1", "dataset": "q", "layer": 16}, 23),
        ({"artefact": "table2", "method": "basis-sharing", "group": 4, "ratio": 0.3}, 66.94),
        ({"artefact": "table2", "method": "svd-llm", "ratio": 0.2}, 15.45),
        ({"artefact": "table3", "method": "dense", "dataset": "ptb"}, 8.35),
        ({"artefact": "table3", "method": "svd", "ratio": 0.3, "dataset": "c4"}, 20871),
        ({"artefact": "table3", "method": "asvd", "ratio": 0.4, "dataset": "hellaswag"}, 0.26),
        ({"artefact": "table3", "method": "svd-llm", "ratio": 0.5, "dataset": "c4"}, 118.57),
        ({"artefact": "table3", "method": "d-rank", "ratio": 0.2, "dataset": "arc_easy"}, 0.69),
        ({"artefact": "table4", "method": "fwsvd", "dataset": "c4"}, 8195),
        ({"artefact": "table4", "method": "basis-sharing", "dataset": "winogrande", "group": 5}, 0.66),
        ({"artefact": "table4", "method": "d-rank", "dataset": "mathqa", "group": 1}, 0.28),
        ({"artefact": "table5", "method": "d-rank", "beta": 0.35, "ratio": 0.4, "group": 3}, 11.98),
        ({"artefact": "table5", "method": "basis-sharing", "ratio": 0.5, "group": 4}, 20.86),
        ({"artefact": "table6", "method": "svd", "model": "mistralai/Mistral-7B-v0.1"}, 159627),
        ({"artefact": "table6", "method": "d-rank", "model": "meta-llama/Llama-2-7b-hf", "group": None}, 7.51),
        ({"artefact": "table7", "method": "asvd", "model": "huggyllama/llama-30b"}, 22.71),
        ({"artefact": "table7", "method": "basis-sharing", "model": "huggyllama/llama-13b"}, 6.47),
        ({"artefact": "table8", "method": "d-rank", "group": 4, "dataset": "wikitext2", "corpus": "c4"}, 9.78),
        ({"artefact": "figure5", "method": "svd-llm", "draw": 13}, 7.9),
    ],
)
def test_a_number_stands_where_the_paper_prints_it(wanted, value):
    assert value_of(**wanted) == value


def test_averages_are_those_of_their_rows_but_for_what_the_paper_rounds_and_one_dense_row():
    accuracies = published()[published()["metric"] == "accuracy"]
    off = {}
    for row, cells in accuracies.groupby(["artefact", "method", "ratio"]):
        cells = cells.set_index("dataset")["value"]
        off[row] = abs(cells[list(TASKS)].mean() - cells["average"])
    assert off.pop(("table3", "dense", 0.0)) == pytest.approx(0.0457, abs=1e-4)
    assert len(off) == 30
    assert max(off.values()) < 0.0101, off


def test_a_configuration_gets_its_own_words():
    frame = published_for(CONFIG)
    assert set(frame["model"]) == {"seven", "eight"}
    assert set(frame["corpus"]) == {"wiki", "web", ""}
    assert set(frame["dataset"]) == {"wiki", "web", *CONFIG["zeroshot"]["tasks"], "average", "q", "k", "v", ""}
    assert set(frame) == set(COLUMNS)


def test_nothing_is_published_of_other_models():
    assert published_for({**CONFIG, "models": {"docs": {"embedded": "docs-mha"}}}).empty


def test_the_average_is_of_the_papers_seven_tasks_and_a_perplexity_of_its_windows():
    fewer = published_for({**CONFIG, "zeroshot": {"tasks": CONFIG["zeroshot"]["tasks"][:6]}})
    assert "average" not in set(fewer["dataset"])
    assert "my-mathqa" in set(fewer["dataset"])
    shots = published_for({**CONFIG, "zeroshot": {"tasks": [*CONFIG["zeroshot"]["tasks"][:6], "shots"]}})
    assert {"average", "shots"}.isdisjoint(shots["dataset"])
    assert "perplexity" not in set(published_for({**CONFIG, "perplexity": {"length": 512}})["metric"])
    begun = published_for({**CONFIG, "perplexity": {**CONFIG["perplexity"], "bos": "window"}})
    assert "perplexity" not in set(begun["metric"]) and "accuracy" in set(begun["metric"])
    assert "perplexity" in set(published_for({**CONFIG, "perplexity": {**CONFIG["perplexity"], "bos": "auto"}})["metric"])
    assert "accuracy" not in set(published_for({**CONFIG, "zeroshot": {**CONFIG["zeroshot"], "bos": "none"}})["metric"])


def test_every_file_that_reporting_reads_is_part_of_the_code_of_a_rule():
    """A change of it prints anew what it stands in."""
    rules = (ROOT / "workflow" / "rules" / "report.smk").read_text("utf-8")
    (page,) = re.findall(r"^PAGE = (.+)$", rules, re.MULTILINE)
    named = {*eval(page, {"PROJECT": ROOT}), *re.findall(r'"(drank/[^"]+)"', rules)}
    data = [path for path in (ROOT / "drank" / "reporting").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    assert len(data) > 5 and {str(path.relative_to(ROOT)) for path in data} <= named
    assert {script for script, rest in re.findall(r'code\("(\w+)\.py"(.*)\)', rules) if "STATED" in rest} == {
        "artefact",
        "report",
        "document",
    }
