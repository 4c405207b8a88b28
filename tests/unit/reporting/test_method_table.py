"""The report's table of methods: a row a method, what differs between ratios said for each, and the seconds of every step on the way."""

import os
from dataclasses import replace

import pytest

from drank.methods import METHODS
from drank.reporting.report.method_table import methods, seconds_in, seconds_of
from tests.unit.records_fixture import all_records, perplexity_record


@pytest.fixture
def chains(tmp_path):
    """The timings of two steps of D-Rank at 20 %, of which one is gone."""
    (tmp_path / "calibrate.tsv").write_text("s\th:m:s\tmax_rss\n12.4\t0:00:12\t300\n")
    (tmp_path / "compress.tsv").write_text("s\th:m:s\tmax_rss\n30.0\t0:00:30\t300\n31.2\t0:00:31\t300\n")
    whole = {step: str(tmp_path / f"{step}.tsv") for step in ("calibrate", "compress")}
    return {"docs-mha": {"d-rank": {"0.2": whole, "0.4": {**whole, "spectrum": str(tmp_path / "gone.tsv")}}}}


def row_of(found, model, method):
    return next(row for row in dict(found)[model] if row.method == method)


def test_models_and_methods_stand_in_the_order_of_the_records(chains):
    found = methods(all_records(), chains)
    assert [model for model, _ in found] == ["docs-mha", "docs-gqa"]
    assert [row.method for row in found[0][1]][:4] == ["Dense", "Full rank", "Random ranks", "SVD"]


def test_a_method_is_told_whole_and_what_sets_in_later_at_its_ratio(chains):
    found = methods(all_records(), chains)
    row = row_of(found, "docs-mha", "D-Rank")
    assert row.source == "arXiv:2509.25622"
    assert row.ranks == "whitening, groups of 2, effective-rank, β 0.3"
    assert row.follows == "20\u202f%: –; 40\u202f%: refit in order"
    assert row.texts == "python-docs.train, 128 × 256 tokens"
    dense = row_of(found, "docs-mha", "Dense")
    assert (dense.ranks, dense.reads, dense.follows, dense.texts, dense.seconds) == ("", "", "", "", [])


def test_what_given_plans_tell_is_said_of_each_ratio_and_the_rest_once():
    records = []
    for ratio, digit in ((0.2, "1"), (0.4, "2")):
        settings = replace(METHODS["svd"], allocator="given", plan="{ratio}.json").settings(ratio)
        told = {"method": settings | {"given": {"sha256": digit * 64, "method": "l-rank"}}}
        record = perplexity_record("m", "found", ratio)
        records.append(replace(record, provenance=record.provenance | told))
    (row,) = dict(methods(records, {}))["m"]
    one, two = (f"{100 * r:.0f}\u202f%: {r}.json of l-rank, SHA-256 {digit * 12}" for r, digit in ((0.2, "1"), (0.4, "2")))
    assert row.ranks == f"identity, given ({one}; {two})"


def test_seconds_are_those_of_every_step_and_at_least_those_where_one_is_gone(chains):
    row = row_of(methods(all_records(), chains), "docs-mha", "D-Rank")
    assert row.seconds == ["20\u202f%: 44 (calibrate 12, compress 31)", "40\u202f%: ≥ 44 (calibrate 12, compress 31)"]
    assert row_of(methods(all_records(), {}), "docs-mha", "D-Rank").seconds == []


@pytest.mark.parametrize("text", ["", "s\n", "minutes\n3\n", "s\nNA\n"])
def test_a_timing_that_cannot_be_read_is_none(tmp_path, text):
    (tmp_path / "odd.tsv").write_text(text)
    assert seconds_in(tmp_path / "odd.tsv") is None
    assert seconds_in(tmp_path / "gone.tsv") is None


def test_a_divided_step_took_what_all_its_jobs_took(tmp_path):
    """Of the last division, or of the one job where that came after; what other divisions left behind does not count."""
    taken = {"1-of-2": 50, "2-of-2": 60, "of-2": 7, "1-of-3": 1, "2-of-3": 2, "3-of-3": 4, "of-3": 8}
    for age, (name, seconds) in enumerate(taken.items()):
        path = tmp_path / "qwen2.5" / f"{name}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"s\n{seconds}\n")
        os.utime(path, (1000 + age, 1000 + age))
    assert seconds_of(tmp_path / "qwen2.5.tsv") == 1 + 2 + 4 + 8
    (tmp_path / "qwen2.5/2-of-3.tsv").unlink()
    assert seconds_of(tmp_path / "qwen2.5.tsv") is None, "less than all of it would pass for the time that it took"
    (tmp_path / "qwen2.5.tsv").write_text("s\n100\n")
    assert seconds_of(tmp_path / "qwen2.5.tsv") == 100
