"""What macros and text say against what the tables beside them print: the same numbers, in the same units, and only those."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from drank.reporting.manuscript.exhibits import Exhibit
from drank.reporting.manuscript.quotes import printed, quotes
from drank.reporting.manuscript.results import sentence
from drank.reporting.material import IDENTITY, Material
from drank.reporting.tables.pivot import pivot
from tests.unit.artefacts_fixture import DENSE, grid, material_of, texts
from tests.unit.records_fixture import make_spectrum

RUNS = [*DENSE, *grid("svd-llm", (0.2,)), *grid("d-rank", (0.2,))]
DOCS = {"rows": ["method"], "columns": ["ratio"], "on": ["python-docs"]}
RUN = "artefact/docs-mha/{}/0.2/python-docs/perplexity"


def exhibit_of(material):
    """A pivot as the manuscript shows it."""
    return Exhibit("artefact", "t.tex", material, [pivot(material)])


def drawn(material):
    """The material on one text, with draws of SVD-LLM whose mean is better than D-Rank."""
    numbers = material.numbers[material.numbers["dataset"] == "python-docs"]
    several = (numbers["label"] == "svd-llm") & (numbers["metric"] == "perplexity")
    told = {"draw_mean": 10.125, "spread": 0.25, "draws": 3}
    return replace(material, numbers=numbers.assign(**{name: several.map({True: value}) for name, value in told.items()}))


@pytest.mark.parametrize(("metric", "told"), [("perplexity", "has the lowest perplexity"), ("perplexity_window_mean", "this stands: ")])
def test_a_pivot_is_cited_for_its_own_metric_alone(metric, told):
    exhibit = exhibit_of(material_of(RUNS, DOCS | {"metric": metric}))
    text = sentence(exhibit, quotes({"artefact": exhibit.material}))
    assert exhibit.shown == {metric} and told in text and ("lowest" in text) == (metric == "perplexity")


def test_a_table_without_any_metric_is_cited_for_none():
    material = material_of(RUNS, DOCS)
    table = replace(pivot(material), frame=pd.DataFrame({"seconds": [1.0]}), caption="Seconds of all steps. More.")
    text = sentence(Exhibit("artefact", "t.tex", material, [table]), quotes({"artefact": material}))
    assert text.endswith("this stands: Seconds of all steps.")
    assert "perplexity" in Exhibit("artefact", "t.pdf", material).shown


def test_over_draws_macros_and_text_are_of_the_mean_that_the_table_prints():
    material = drawn(material_of(RUNS, DOCS))
    found, table, at = quotes({"artefact": material}), texts(pivot(material)), RUN.format("svd-llm")
    assert ["SVD-LLM", "10.12 ±0.250"] in [row[:2] for row in table]
    assert (found[at], found[f"{at}/spread"]) == ("10.12", "0.25") and f"{at}/low" not in found
    assert RUN.format("d-rank") + "/low" in found and RUN.format("d-rank") + "/spread" not in found
    values = {row["label"]: row["value"] for row in material.numbers[material.numbers["metric"] == "perplexity"].to_dict("records")}
    assert values["d-rank"] < values["svd-llm"]
    assert "SVD-LLM has the lowest perplexity in the only comparison" in sentence(exhibit_of(material), found)
    assert found[at.replace("perplexity", "over-dense")] == f"{100 * (10.125 / values['dense'] - 1):.1f}"


def test_differences_are_of_the_first_draw_as_their_intervals_are():
    material = material_of(RUNS, DOCS)
    at, found = RUN.format("d-rank") + "_minus_svd-llm", quotes({"artefact": material})
    several = quotes({"artefact": replace(material, numbers=material.numbers.assign(draw_mean=9.0, spread=1.0))})
    assert found[at] == several[at] and f"{at}/low" in several


def test_every_metric_is_printed_in_the_units_of_its_table():
    told = {"flips": (0.12, "12.0"), "answers_changed": (0.12, "12.0"), "top1_agreement": (0.931, "93.1"), "kl_to_dense": (0.012, "0.012")}
    told |= {"time_per_token": (0.02, "20.00"), "roofline_share": (0.5, "50.0"), "model_bytes": (13 * 2**20, "13.0")}
    told |= {"overfitting": (0.012, "0.012"), "over-dense": (0.12, "12.0"), "accuracy_minus_dense": (0.12, "12.0"), "bytes": (2e6, "2.00")}
    assert {metric: printed(metric, value) for metric, (value, _) in told.items()} == {metric: text for metric, (_, text) in told.items()}


def test_the_papers_effective_ranks_have_a_key_each():
    row = {"model": "docs-mha", "method": "d-rank", "label": "d-rank", "ratio": None, "metric": "effective_rank", "dataset": "v"}
    published = pd.DataFrame([row | {"layer": layer, "value": value} for layer, value in ((1, 300.0), (3, 592.0))])
    numbers = pd.DataFrame(columns=[*IDENTITY, "dataset", "metric", "value"])
    found = quotes({"table1": Material("table1", numbers, spectra=[make_spectrum("docs-mha")], published=published)})
    stated = {key: text for key, text in found.items() if key.endswith("published")}
    at = "table1/docs-mha/whitening-n2/0/v.{}/effective_rank/published"
    assert stated == {at.format("00-01"): "300.0", at.format("04-05"): "592.0"} and at.format("00-01").rpartition("/")[0] in found
