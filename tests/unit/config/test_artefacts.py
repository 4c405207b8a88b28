"""Artefacts: which runs they ask for, which of those are one, and what is told of entries that cannot be."""

import itertools
import re

import pytest

from drank.config import check, with_defaults
from drank.config.artefacts import USUAL, Runs
from drank.config.measurable import TAKEN
from tests.unit.configurations import ROOT, SCHEMA, problems

BASE = {
    "models": {"docs-mha": {"embedded": "docs-mha"}, "docs-gqa": {"embedded": "docs-gqa", "methods": {"d-rank": {"group": 1}}}},
    "corpora": {"docs": {"embedded": "python-docs"}, "code": {"embedded": "package-code"}, "other": {"embedded": "python-code"}},
    "calibration": {"corpus": "docs", "windows": 8, "length": 32},
    "ratios": [0.2, 0.4],
    "methods": {"dense": {}, "svd": {}, "svd-llm": {}, "d-rank": {}, "mine": {"base": "d-rank", "beta": 0.1}},
    "perplexity": {"corpora": ["docs", "other"], "length": 32},
}


def runs(artefacts, **changes):
    return Runs(with_defaults({**BASE, **changes, "artefacts": artefacts}, SCHEMA))


def cells(found):
    return {"/".join(cell) for cell in found.wanted}


def test_without_artefacts_everything_is_made_that_the_configuration_names():
    found = runs({})
    assert list(found.artefacts) == ["main", "paired", "effective_rank", "ranks", "perplexity"]
    assert len(found.wanted) == 2 * (1 + 4 * 2)
    assert all(mine == {"perplexity": ["docs", "other"], "zeroshot": [], "throughput": []} for mine in found.wanted.values())


def test_only_what_an_artefact_asks_for_is_run():
    found = runs({"a": {"layout": "quality", "runs": {"model": "docs-mha", "method": ["dense", "svd"], "ratio": 0.3}, "on": "other"}})
    assert cells(found) == {"docs-mha/dense/0", "docs-mha/svd/0.3"}
    assert all(mine["perplexity"] == ["other"] for mine in found.wanted.values())
    assert found.artefacts["a"].files == ["results/tables/a.tex", "results/tables/a.csv", "results/tables/a.tabular.tex"]


def test_an_axis_makes_variants_and_what_is_the_method_anyway_goes_by_its_name():
    grid = {"model": "docs-mha", "method": "d-rank", "group": [1, 2], "beta": [0.1, 0.3], "ratio": 0.2}
    found = runs({"a": {"layout": "quality", "runs": grid}})
    labels = {"d-rank+group=1+beta=0.1", "d-rank+group=1", "mine", "d-rank"}
    assert cells(found) == {f"docs-mha/{label}/0.2" for label in labels}, "β 0.1 in groups of 2 is `mine`"
    assert found.methods["docs-mha"]["d-rank+group=1+beta=0.1"].beta == 0.1
    values = {tuple(row[axis] for axis in ("group", "beta")) for row in found.artefacts["a"].rows()}
    assert values == set(itertools.product([1, 2], [0.1, 0.3]))


def test_a_method_is_what_its_model_makes_of_it():
    found = runs({"a": {"layout": "quality", "runs": {"method": "d-rank", "group": [1, 2], "ratio": 0.2}}})
    assert cells(found) == {"docs-mha/d-rank/0.2", "docs-mha/d-rank+group=1/0.2", "docs-gqa/d-rank/0.2", "docs-gqa/d-rank+group=2/0.2"}


def test_a_text_that_a_method_does_not_read_makes_no_variant_of_it():
    grid = {"model": "docs-mha", "method": ["dense", "svd", "svd-llm"], "corpus": ["docs", "code"], "draw": [13, 42], "ratio": 0.2}
    found = runs({"a": {"layout": "quality", "runs": grid}})
    variants = {"svd-llm", "svd-llm+corpus=code", "svd-llm+draw=42", "svd-llm+corpus=code+draw=42"}
    assert cells(found) == {"docs-mha/dense/0", "docs-mha/svd/0.2", *(f"docs-mha/{label}/0.2" for label in variants)}
    assert found.methods["docs-mha"]["svd-llm+corpus=code+draw=42"].calibration == {"corpus": "code", "seed": 42}


def test_what_sets_in_later_makes_no_variant_before():
    found = runs({"a": {"layout": "quality", "runs": {"model": "docs-mha", "method": "d-rank", "refit_from": [None, 0.4]}}})
    assert cells(found) == {"docs-mha/d-rank/0.2", "docs-mha/d-rank/0.4", "docs-mha/d-rank+refit_from=null/0.4"}


def test_a_value_that_fits_one_model_is_run_on_that_one():
    models = {**BASE["models"], "docs-gqa": {"embedded": "docs-gqa", "methods": {"d-rank": {"group": 99}}}}
    found = runs({"a": {"layout": "quality", "runs": {"method": "d-rank", "group": [1, 2], "ratio": 0.2}}}, models=models)
    assert len([cell for cell in found.wanted if cell[0] == "docs-gqa"]) == 2, "of the configured group it is refused, of these it is not"


def test_seeds_are_told_apart_however_long_they_are():
    found = runs({"a": {"layout": "quality", "runs": {"method": "svd-llm", "draw": [20240101, 20240102], "ratio": 0.2}}})
    assert {cell[1] for cell in found.wanted} == {"svd-llm+draw=20240101", "svd-llm+draw=20240102"}


def test_one_run_that_reads_no_text_is_no_row_of_draws():
    rows = runs({"a": {"layout": "quality", "runs": {"model": "docs-mha", "method": ["svd", "svd-llm"], "draw": [13, 42], "ratio": 0.2}}})
    assert [row["draw"] for row in rows.artefacts["a"].rows()] == [None, 13, 42]


def test_runs_of_several_artefacts_are_one_and_are_measured_on_all_they_ask_for():
    grid = {"model": "docs-mha", "method": ["dense", "svd-llm"], "ratio": 0.2}
    a, b = ({"layout": "quality", "runs": grid, "on": text} for text in ("other", "docs.validation"))
    found = runs({"a": a, "b": b})
    assert cells(found) == {"docs-mha/dense/0", "docs-mha/svd-llm/0.2"}
    assert found.wanted["docs-mha", "svd-llm", "0.2"]["perplexity"] == ["other", "docs.validation"]


def test_axes_of_the_text_stand_on_the_run_s_where_a_grid_does_not_name_them():
    one = {"model": "docs-mha", "method": "svd-llm", "ratio": 0.2}
    rows = runs({"a": {"layout": "stability", "runs": [{**one, "windows": [4, 8]}, {**one, "draw": 42}]}}).artefacts["a"].rows()
    assert [(row["windows"], row["draw"]) for row in rows] == [(4, 13), (8, 13), (8, 42)]


@pytest.mark.parametrize(
    ("artefact", "said"),
    [
        ({"layout": "pivott"}, "layout: 'pivott' is none of the layouts (did you mean pivot?)"),
        ({"layout": "pivot", "rows": "method"}, "layout pivot needs columns"),
        ({"layout": "quality", "rows": "method"}, "layout quality does not read rows"),
        ({"layout": "quality", "on": "docz"}, "on: 'docz' is no text, task or phase that is measured (did you mean docs?)"),
        ({"layout": "quality", "runs": {"method": "svd-lm"}}, "runs.method: 'svd-lm' is not one of methods (did you mean svd"),
        ({"layout": "throughput"}, "it shows throughput, and the configuration measures none; set throughput"),
        ({"layout": "ranks_by_layer", "runs": {"method": "dense"}}, "no run of it compresses"),
        ({"layout": "quality", "runs": {"method": "d-rank", "group": 99}}, "groups of 99 layers do not fit"),
        ({"layout": "quality", "runs": {"method": "svd-llm", "density": "stable-rank"}}, "density would change nothing"),
        ({"layout": "quality", "runs": {"method": "svd-llm", "corpus": "other"}}, "calibration corpus 'other' has no split 'train'"),
        ({"layout": "quality", "runs": {"method": "svd-llm", "ratio": 0.9999}}, "svd-llm at 0.9999"),
        ({"layout": "quality", "runs": {"method": "svd-llm", "ratio": 0.2000001}}, "0.2000001: more than six digits"),
        ({"layout": "quality", "on": "other.train"}, "on: corpus 'other' has no split 'train', only test"),
        (
            {"layout": "choice", "validation": "other.validation", "runs": {"method": "d-rank", "beta": [0, 0.3]}},
            "has no split 'validation'",
        ),
        (
            {"layout": "pivot", "rows": "methd", "columns": "ratio"},
            "rows: 'methd' is nothing that its runs stand on (did you mean method?)",
        ),
        ({"layout": "pivot", "rows": "method", "columns": "ratio", "over": "draw"}, "over: 'draw' is nothing that its runs stand on"),
        ({"layout": "draws", "runs": {"method": "svd-llm"}}, "layout draws compares runs by draw, which no grid of `runs` names"),
        ({"layout": "perplexity_by_axis", "runs": {"method": "d-rank"}}, "layout perplexity_by_axis needs axis"),
        ({"layout": "perplexity_by_axis", "axis": "beta", "runs": {"method": "d-rank"}}, "axis: 'beta' is nothing that its runs stand on"),
        ({"layout": "perplexity_by_axis", "axis": "ratio"}, "axis: no grid of `runs` has values for ratio"),
        ({"layout": "perplexity_by_axis", "axis": "model"}, "axis: no grid of `runs` has values for model"),
        (
            {"layout": "perplexity_by_axis", "axis": "corpus", "runs": {"method": "d-rank", "corpus": ["docs", "other"]}},
            "axis: corpus has values that are no numbers, docs, other",
        ),
        ({"layout": "effective_rank", "kinds": ["x"]}, "kinds: 'x' is no kind of projection"),
        ({"layout": "steps", "chain": {"svd-llm": "start", "l-rnk": "ranks"}}, "chain: 'l-rnk' is not one of methods"),
    ],
)
def test_what_cannot_be_is_told_with_its_place(artefact, said):
    found = problems({**BASE, "artefacts": {"mine": artefact}})
    assert any(said in line for line in found), found
    assert all(line.startswith(("artefacts.mine: ", "models.", "svd-llm+")) for line in found), found


def test_an_artefact_needs_a_name_of_its_own():
    assert problems({**BASE, "artefacts": {"throughput": {"layout": "quality"}}}) == [
        "artefacts.throughput: the name is taken by a step of the run; call it otherwise"
    ]


def test_the_names_of_all_rules_are_taken():
    texts = [file.read_text() for file in (ROOT / "workflow" / "rules").glob("*.smk")]
    found = {"all"} | {
        name for text in texts for pair in re.findall(r"^\s*rule (\w+):|as (\w+) with:", text, re.M) for name in pair if name
    }
    assert found == set(TAKEN) and not found & set(USUAL)


@pytest.mark.parametrize("name", ["config", "paper", "methods", "l-rank"])
def test_what_ships_can_be_run(name):
    from drank.config import read_config

    check(with_defaults(read_config(ROOT / "config" / f"{name}.yaml"), SCHEMA))


def test_a_name_after_run_is_a_configuration_or_an_artefact_of_the_default_one():
    from drank.config import read_config

    shipped = {path.stem for path in (ROOT / "config").glob("*.yaml")}
    assert not shipped & {*read_config(ROOT / "config/config.yaml")["artefacts"]}


@pytest.mark.parametrize("name", ["smollm2", "text-amounts"])
def test_what_ships_for_a_model_that_is_not_here_can_be_run_on_another(name):
    from drank.config import read_config

    check(with_defaults({**read_config(ROOT / "config" / f"{name}.yaml"), "models": {"docs-gqa": {"embedded": "docs-gqa"}}}, SCHEMA))
