import random
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from drank.reporting.summary import COLUMNS, SummaryError, read_csv, summarise, write_csv
from drank.statistics.paired import paired_difference
from tests.unit.records_fixture import METHODS, SHA, all_records, perplexity_record, size_of, throughput_record, zeroshot_record

MODELS = ("docs-mha", "docs-gqa")


@pytest.fixture(scope="module")
def summary():
    return summarise(all_records(), METHODS, MODELS)


def cell(frame, **where):
    rows = frame
    for column, value in where.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def test_every_result_has_its_row(summary):
    record = perplexity_record("docs-gqa", "d-rank", 0.4)
    for result in record.results:
        row = cell(summary, model="docs-gqa", method="d-rank", ratio=0.4, dataset=result.dataset, metric=result.metric)
        assert row["value"] == result.value
        assert row["parameters"] == record.size.parameters
        assert row["ratio_stored"] == record.size.ratio_stored
    assert not summary.duplicated(["model", "method", "ratio", "dataset", "metric"]).any()
    assert list(summary.columns) == list(COLUMNS)


def test_order_is_that_of_the_arguments_whatever_the_order_of_the_records(summary):
    records = all_records()
    random.Random(3).shuffle(records)
    assert_frame_equal(summarise(records, METHODS, MODELS), summary)
    assert list(dict.fromkeys(summary["model"])) == list(MODELS)
    assert list(dict.fromkeys(summary["method"])) == list(METHODS)
    assert list(dict.fromkeys(summary.loc[summary["method"] == "d-rank", "ratio"])) == [0.2, 0.4]
    backwards = summarise(records, METHODS[::-1], MODELS)
    assert list(dict.fromkeys(backwards["method"])) == list(METHODS[::-1])


def test_data_sets_of_differences_stand_in_the_order_of_the_results():
    records = [make(*of) for make in (perplexity_record, zeroshot_record) for of in (("m", "dense", 0.0), ("m", "d-rank", 0.2))]
    filed = [replace(one, detail=dict(sorted(one.detail.items()))) for one in records]
    frame = summarise(filed, ("dense", "d-rank")).query("method == 'd-rank'")
    for metric, difference in (("perplexity", "log_perplexity_gap_to_dense"), ("accuracy", "accuracy_minus_dense")):
        order = [list(frame.loc[frame["metric"] == name, "dataset"]) for name in (metric, difference)]
        assert order[0] == order[1] != sorted(order[0])


def test_methods_that_are_not_named_follow_by_name():
    records = [perplexity_record("m", method, 0.2) for method in ("zeta", "d-rank", "alpha")]
    assert list(dict.fromkeys(summarise(records, ("d-rank",))["method"])) == ["d-rank", "alpha", "zeta"]


@pytest.mark.parametrize(("reference", "at"), [("dense", 0.0), ("svd-llm", 0.4)])
def test_paired_perplexities_are_those_of_the_windows(summary, reference, at):
    one, two = perplexity_record("docs-mha", "d-rank", 0.4), perplexity_record("docs-mha", reference, at)
    for corpus in one.detail:
        gap = paired_difference(*_windows(one, corpus), *_windows(two, corpus)).perplexity
        row = cell(summary, model="docs-mha", method="d-rank", ratio=0.4, dataset=corpus, metric=f"perplexity_minus_{reference}")
        assert (row["value"], row["ci_low"], row["ci_high"]) == tuple(gap)


def _windows(record, corpus):
    return record.detail[corpus]["window_loss"], record.detail[corpus]["window_tokens"]


def test_paired_accuracy_is_over_the_same_items(summary):
    one, two = zeroshot_record("docs-mha", "d-rank", 0.2), zeroshot_record("docs-mha", "dense", 0.0)
    change = np.subtract(one.detail["continuation"]["correct"], two.detail["continuation"]["correct"])
    row = cell(summary, model="docs-mha", method="d-rank", ratio=0.2, dataset="continuation", metric="accuracy_minus_dense")
    assert row["value"] == pytest.approx(change.mean())
    assert row["stderr"] == pytest.approx(change.std(ddof=1) / np.sqrt(len(change)))
    average = cell(summary, model="docs-mha", method="d-rank", ratio=0.2, dataset="average", metric="accuracy_minus_dense")
    assert average["value"] == pytest.approx(one.results[-1].value - two.results[-1].value)


def test_speedup_is_that_of_the_job_and_never_made_of_two_records(summary):
    row = cell(summary, model="docs-mha", method="svd", ratio=0.4, dataset="prefill", metric="speedup_over_dense")
    assert row["value"] == next(
        row.value for row in throughput_record("docs-mha", "svd", 0.4).results if row.metric == "speedup_over_dense"
    )
    alone = throughput_record("m", "svd", 0.4)
    alone = replace(alone, results=tuple(row for row in alone.results if row.metric != "speedup_over_dense"))
    assert "speedup_over_dense" not in set(summarise([alone, throughput_record("m", "dense", 0.0)])["metric"])


def test_nothing_is_compared_with_itself_and_dense_with_nothing(summary):
    assert not summary.loc[summary["method"] == "dense", "metric"].str.contains("minus|gap|speedup").any()
    assert not summary.loc[summary["method"] == "svd-llm", "metric"].str.contains("minus_svd-llm").any()
    assert not summary.loc[summary["method"] == "full-rank", "metric"].str.contains("minus_svd-llm").any()


def test_references_may_be_missing():
    frame = summarise(all_records(models=("m",), methods=("svd", "d-rank")))
    assert not frame["metric"].str.contains("minus_dense|minus_svd-llm|gap").any()
    frame = summarise([perplexity_record("m", "svd-llm", 0.2), perplexity_record("m", "d-rank", 0.4)])
    assert not frame["metric"].str.contains("minus").any()


def test_records_of_one_place_clash():
    records = [perplexity_record("m", "svd", 0.2), perplexity_record("m", "svd", 0.2), perplexity_record("m", "svd", 0.4)]
    with pytest.raises(SummaryError, match=r"2 perplexity records of m, svd, ratio 0\.2"):
        summarise(records)


def test_one_model_with_two_sizes_clashes():
    other = replace(zeroshot_record("m", "svd", 0.2), size=size_of("svd", 0.3))
    with pytest.raises(SummaryError, match=r"2 sizes of m, svd, ratio 0\.2"):
        summarise([perplexity_record("m", "svd", 0.2), other])


@pytest.mark.parametrize("key", ["text_sha256", "tokens_sha256"])
def test_pairs_over_other_text_are_refused(key):
    dense, record = perplexity_record("m", "dense", 0.0), perplexity_record("m", "svd", 0.2)
    detail = {corpus: windows | {key: "1" * 64 if corpus == "python-code" else SHA} for corpus, windows in record.detail.items()}
    with pytest.raises(SummaryError, match=rf"python-code: svd at 0\.2 and dense at 0\.0 differ in {key}"):
        summarise([dense, replace(record, detail=detail)])


def test_pairs_over_other_windows_or_items_are_refused():
    with pytest.raises(SummaryError, match="window_tokens"):
        summarise([perplexity_record("m", "dense", 0.0), perplexity_record("m", "svd", 0.2, windows=47)])
    with pytest.raises(SummaryError, match="number of items"):
        summarise([zeroshot_record("m", "dense", 0.0), zeroshot_record("m", "svd", 0.2, items=399)])


@pytest.mark.parametrize("key", ["version", "metric", "filter"])
def test_pairs_whose_answers_were_scored_otherwise_are_refused(key):
    dense, record = zeroshot_record("m", "dense", 0.0), zeroshot_record("m", "svd", 0.2)
    other = {task: told | {key: "other"} for task, told in record.detail.items()}
    with pytest.raises(SummaryError, match=rf"svd at 0\.2 and dense at 0\.0 differ in {key}"):
        summarise([dense, replace(record, detail=other)])


def test_a_summary_comes_back_as_it_was_written(tmp_path, summary):
    odd = summary.assign(model="NA")  # what pandas would read as missing
    for frame in (summary, odd, summary.iloc[:0]):
        write_csv(frame, tmp_path / "summary.csv")
        assert_frame_equal(read_csv(tmp_path / "summary.csv"), frame.reset_index(drop=True), check_exact=True)


def test_a_summary_without_its_columns_is_refused(tmp_path):
    pd.DataFrame({"model": ["m"], "value": [1]}).to_csv(tmp_path / "summary.csv", index=False)
    with pytest.raises(SummaryError, match="method"):
        read_csv(tmp_path / "summary.csv")


def test_no_records_make_an_empty_summary():
    assert summarise([]).empty


def test_a_variant_is_compared_with_the_baseline_of_its_own_calibration():
    def records(*labels):
        return [perplexity_record("docs-mha", label, 0.2) for label in labels]

    def compared(label, found):
        rows = summarise(found)
        return "perplexity_minus_svd-llm" in set(rows.loc[rows["method"] == label, "metric"])

    found = records("svd-llm", "d-rank+beta=0.4", "d-rank+draw=42")
    assert compared("d-rank+beta=0.4", found) and not compared("d-rank+draw=42", found)
    assert compared("d-rank+draw=42", [*found, *records("svd-llm+draw=42")])
    assert not compared("svd-llm+draw=42", [*found, *records("svd-llm+draw=42")])


def calibrated(record, **facts):
    """A record of a method that has a calibration of its own, of which its label says nothing; without facts of one that reads no text."""
    text = {**record.provenance["calibration"], **facts} if facts else None
    return replace(record, method="mine", provenance={**record.provenance, "calibration": text})


@pytest.mark.parametrize(
    ("facts", "compared"),
    [
        ({"corpus": "c4"}, False),
        ({"split": "other"}, False),
        ({"seed": 42}, False),
        ({"windows": 64}, False),
        ({"length": 2048}, False),
        ({"gradient_windows": 64, "batch": 1}, True),
        ({}, True),
    ],
)
def test_a_method_is_compared_with_the_baseline_that_read_its_text(facts, compared):
    mine, baseline = calibrated(perplexity_record("m", "d-rank", 0.2), **facts), perplexity_record("m", "svd-llm", 0.2)
    rows = summarise([baseline, mine, perplexity_record("m", "dense", 0.0)])
    found = set(rows.loc[rows["method"] == "mine", "metric"])
    assert "perplexity_minus_dense" in found and ("perplexity_minus_svd-llm" in found) == compared
