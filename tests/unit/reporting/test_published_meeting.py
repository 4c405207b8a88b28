"""Which published number stands beside a run, and which run has none."""

from dataclasses import replace

import pandas as pd
import pytest

from drank.methods import METHODS
from drank.reporting.summary import summarise
from tests.unit.records_fixture import perplexity_record
from tests.unit.reporting.papers_models import CONFIG, METHODS_OF, material, met
from tests.unit.reporting.tables_of import main_table


@pytest.mark.parametrize(("name", "value"), [("table3", 1727), ("table6", 1721), ("table7", 1630), ("my-table", 1727), ("figure5", 1727)])
def test_the_artefacts_own_table_leads(name, value):
    frame = met(material(("seven", "fwsvd", 0.2), name=name))
    assert frame["value"].tolist() == [value]


def test_a_run_is_met_for_all_that_was_measured_of_it_and_nothing_else():
    frame = met(material(("seven", "d-rank", 0.2), metrics=[("wiki", "perplexity"), ("my-piqa", "accuracy"), ("big-wiki", "perplexity")]))
    assert frame.set_index("dataset")["value"].to_dict() == {"wiki": 7.45, "my-piqa": 0.72}
    assert frame["label"].tolist() == ["d-rank", "d-rank"]


@pytest.mark.parametrize(
    "run",
    [("mine", "d-rank", 0.2), ("seven", "d-rank", 0.25), ("seven", "dense", 0.2), ("eight", "d-rank", 0.2)],
    ids=lambda run: " ".join(map(str, run)),
)
def test_another_model_ratio_or_group_is_not_the_papers(run):
    assert met(material(run)).empty  # on the last model the table is of group 1, and the run of 2


def test_group_and_beta_of_a_run_decide_which_cell_it_meets():
    axes = ("group", "beta")
    runs = [("seven", "d-rank", 0.2, 3, 0.2), ("seven", "d-rank", 0.2, 4, 0.45), ("seven", "d-rank", 0.2, 3, 0.1)]
    runs += [("seven", "basis-sharing", 0.2, 3, None), ("seven", "svd-llm", 0.2, None, None), ("seven", "svd-llm", 0.2, 3, None)]
    frame = met(material(*runs, name="table5", axes=axes))
    assert frame[["method", "group", "beta"]].fillna(0).assign(value=frame["value"]).values.tolist() == [
        *(["d-rank", 3, 0.2, 7.53], ["d-rank", 4, 0.45, 7.36]),
        *(["basis-sharing", 3, 0, 7.72], ["svd-llm", 0, 0, 7.94]),
    ]


def test_a_method_that_was_left_out_for_a_model_meets_nothing():
    """One that cannot apply as it is configured, though a variant of it was run."""
    left = {model: {label: found for label, found in methods.items() if label != "d-rank"} for model, methods in METHODS_OF.items()}
    assert met(material(("seven", "d-rank", 0.2, 2), axes=("group",)), methods=left).empty


def test_elsewhere_the_cell_that_says_more_leads():
    runs = [("seven", "d-rank", 0.2, 0.2), ("seven", "d-rank", 0.5, 0.3)]
    assert met(material(*runs, name="betas", axes=("beta",)))["value"].tolist() == [7.51, 19.87]
    assert met(material(*runs, name="table3", axes=("beta",)))["value"].tolist() == [7.51, 19.82]


def test_calibration_on_another_text_meets_its_own_table():
    runs = [
        ("seven", "d-rank", 0.2, "web"),
        ("seven", "d-rank", 0.2, "wiki"),
        ("seven", "d-rank", 0.2, "big-wiki"),
        ("seven", "svd", 0.2, None),
    ]
    frame = met(material(*runs, name="table8", axes=("corpus",)))
    assert frame["value"].tolist() == [9.99, 7.45, 20061]


@pytest.mark.parametrize("change", [{"windows": 128}, {"length": 512}])
def test_calibration_on_less_text_meets_only_what_reads_none(change):
    config = {**CONFIG, "calibration": {**CONFIG["calibration"], **change}}
    frame = met(material(("seven", "svd-llm", 0.2), ("seven", "svd", 0.2), ("seven", "dense", 0)), config)
    assert frame["method"].tolist() == ["svd", "dense"]


def test_a_draw_is_met_where_the_paper_tells_it():
    runs = [("seven", "d-rank", 0.2, 13), ("seven", "d-rank", 0.2, 42), ("seven", "svd-llm", 0.2, 13)]
    frame = met(material(*runs, name="figure5", axes=("draw",)))
    assert frame[["artefact", "draw", "value"]].values.tolist() == [["figure5", 13, 7.45], ["figure5", 13, 7.9]]


def test_a_method_that_was_changed_is_not_the_papers():
    changed = {"seven": METHODS_OF["seven"] | {"d-rank": replace(METHODS["d-rank"], density="stable-rank")}}
    assert met(material(("seven", "d-rank", 0.2), ("seven", "svd-llm", 0.2)), methods=changed)["method"].tolist() == ["svd-llm"]
    runs = [("seven", "d-rank", 0.2, "stable-rank"), ("seven", "d-rank", 0.2, "spectral-entropy")]
    assert met(material(*runs, axes=("density",)))["density"].tolist() == ["spectral-entropy"]


def test_effective_ranks_stand_beside_the_spectrum_of_their_model_text_and_group():
    spectrum = {"model": "seven", "weighting": "whitening", "group": 2, "calibration": CONFIG["calibration"], "groups": []}
    others = [{**spectrum, "group": 1}, {**spectrum, "model": "eight"}, {**spectrum, "weighting": "identity"}]
    frame = met(material(name="table1", spectra=[spectrum, *others]))
    assert len(frame) == 21
    assert frame[(frame["dataset"] == "v") & (frame["layer"] == 10)]["value"].tolist() == [1026]


def test_a_table_of_one_model_has_the_numbers_of_the_paper_beside_ours():
    records = [perplexity_record("docs-mha", label, ratio) for label, ratio in (("dense", 0.0), ("svd-llm", 0.2), ("d-rank", 0.2))]
    theirs = [("d-rank", 0.2, "python-docs", 7.45), ("d-rank", 0.3, "python-docs", 1.0), ("svd", 0.2, "python-docs", 2.0)]
    rows = [
        {"model": "docs-mha", "label": label, "ratio": ratio, "dataset": name, "metric": "perplexity", "value": v}
        for label, ratio, name, v in theirs
    ]
    table = main_table(summarise(records), "docs-mha", pd.DataFrame(rows))
    cells = [cell for block in table.blocks for row in block for cell in row]
    assert [cell.small for cell in cells if cell.small] == ["(7.45)"] and "the published numbers" in table.caption
    assert table.frame["perplexity python-docs published"].dropna().tolist() == [7.45]
    assert "published" not in main_table(summarise(records), "docs-mha").caption
