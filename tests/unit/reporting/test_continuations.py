"""What models write, on the page: three each, the dense model's on top, as their records hold them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drank.reporting.report.continuations import continuations
from drank.reporting.summary import summarise
from drank.reporting.tables.numbers import per_model
from tests.unit.records_fixture import METHODS, all_records
from tests.unit.report_page import Page, page_of


def saying(record, prompts=5, other=None):
    """The record with continuations on one of its texts, which tell of which model they are."""
    words = [
        {"prompt": other or f"<b>Once {number}", "text": f"{record.method} {record.ratio} & {number}", "tokens": 9, "repeated": 2}
        for number in range(prompts)
    ]
    detail = {
        name: windows | {"continuations": words} if name == "python-reference" else windows for name, windows in record.detail.items()
    }
    return replace(record, detail=detail)


@pytest.fixture(scope="module")
def written():
    return [saying(record) if record.kind == "perplexity" else record for record in all_records(models=("docs-mha",))]


def test_three_of_each_model_at_each_ratio(written):
    found = continuations(list(per_model(summarise(written, METHODS))), written)
    assert [(one.model, one.ratio, one.corpus) for one in found] == [("docs-mha", ratio, "python-reference") for ratio in (0.0, 0.2, 0.4)]
    assert {tuple(one.prompts) for one in found} == {("<b>Once 0", "<b>Once 1", "<b>Once 2")}
    assert [method for method, _ in found[1].rows] == ["Dense", "Random ranks", "SVD", "SVD-LLM", "Basis Sharing", "D-Rank"]
    assert dict(found[2].rows)["D-Rank"] == [f"d-rank 0.4 & {number}" for number in range(3)]
    assert dict(found[2].rows)["Dense"] == [f"dense 0.0 & {number}" for number in range(3)]


def test_they_stand_on_the_page_as_text(written):
    page = Page(page_of(written))
    assert not page.wrong and not page.open
    assert "<b>Once 2" in page.text and "svd-llm 0.4 & 1" in page.text and "Once 3" not in page.text


def test_only_what_went_on_from_the_same_words_stands_side_by_side(written):
    odd = [saying(one, other="Elsewhere") if (one.kind, one.method) == ("perplexity", "svd") else one for one in written]
    found = continuations(list(per_model(summarise(odd, METHODS))), odd)
    assert all("SVD" not in dict(one.rows) and "SVD-LLM" in dict(one.rows) for one in found[1:])


def test_older_records_have_none(records):
    assert continuations(list(per_model(summarise(records, METHODS))), records) == []
    assert 'id="continuations"' not in page_of(records)


def test_a_dense_model_alone_is_shown():
    (record,) = (saying(one) for one in all_records(models=("docs-mha",), kinds=("perplexity",), methods=("dense",)))
    (one,) = continuations(list(per_model(summarise([record]))), [record])
    assert one.ratio == 0 and [method for method, _ in one.rows] == ["Dense"]
