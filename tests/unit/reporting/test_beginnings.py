"""What a report says of how windows began: nothing as published, a sentence otherwise, a warning where a family needs another way."""

from dataclasses import replace

import pytest

from drank.models.card.numbers import joined, model_index, numbers
from drank.reporting.comparisons import Comparison, mismatches
from drank.reporting.manuscript.limitations import Evidence, limitations
from drank.reporting.manuscript.setup import setup
from drank.reporting.recipes import texts
from drank.reporting.report.beginnings import READ, beginnings, unseen
from drank.reporting.summary import SummaryError, summarise
from tests.unit.records_fixture import all_records, perplexity_record
from tests.unit.report_page import page_of


def begun(record, bos, read=None, needs=True):
    """The record with what it measures, and the text that its method read, begun by a convention."""
    calibration = record.provenance["calibration"]
    told = {**record.provenance, "settings": {**record.provenance["settings"], "bos": bos}} | ({"needs_bos": True} if needs else {})
    return replace(record, provenance=told | {"calibration": calibration and {**calibration, "bos": read or bos}})


def records_of(bos, **options):
    return [begun(record, bos, **options) for record in all_records(models=("g",), methods=("dense", "svd-llm"), ratios=(0.2,))]


def test_as_published_nothing_is_said():
    assert beginnings(all_records()) == unseen(all_records()) == beginnings(records_of("text", needs=False)) == []


def test_what_stands_before_every_window_is_said_of_all_that_was_read():
    (sentence,) = beginnings(records_of("window"))
    assert sentence.startswith("g: a BOS stands before every window and prompt, where it is read and not predicted")
    assert sentence.endswith("(perplexity, calibration, zero-shot accuracy, the prompts of throughput).")
    assert unseen(records_of("window")) == []


@pytest.mark.parametrize("bos, said", [("none", "never see one here"), ("text", "at the start of the text alone")])
def test_a_family_that_needs_it_and_did_not_get_it_is_warned_of(bos, said):
    (warning,) = unseen(records_of(bos))
    prompts = ", zero-shot accuracy" if bos == "none" else ""  # with `text` each begins as a text of its own
    assert said in warning and f"(bos: {bos}; perplexity, calibration{prompts})" in warning
    assert unseen(records_of(bos, needs=False)) == []
    assert len(unseen(records_of("window", read="none"))) == 1, "a model calibrated without it too"
    assert any(said in sentence for sentence in limitations(Evidence(records_of(bos), [], [], [])))


def test_the_page_shows_both():
    page = page_of(records_of("none"))
    assert "no BOS stands anywhere" in page and "<li>Models of the family of g need a BOS" in page


@pytest.mark.parametrize("kind", ["perplexity", "zeroshot", "throughput"])
def test_a_manuscript_says_it_of_whatever_was_measured(kind):
    """Where perplexity was not, too."""
    measured = [record for record in records_of("window") if record.kind == kind]
    said = f"a BOS stands before every window and prompt, where it is read and not predicted ({READ[kind]}"
    assert sum(said in text for text in setup(measured)) == 1
    assert not any("BOS" in text for text in setup(records_of("text", needs=False)))


def test_texts_say_it_beside_their_windows():
    told = {name: texts(begun(perplexity_record("g", "svd-llm", 0.2), name).provenance) for name in ("text", "window", "none")}
    assert told == {
        "text": "python-docs.train, 128 × 256 tokens",
        "window": "python-docs.train, 128 × 256 tokens, each behind a BOS",
        "none": "python-docs.train, 128 × 256 tokens, without BOS",
    }


def test_records_of_two_conventions_are_not_compared():
    one, two = begun(perplexity_record("g", "svd-llm", 0.2), "window"), begun(perplexity_record("g", "dense", 0.0), "none")
    assert all("differ in bos" in line for line in mismatches(Comparison(one, two, "dense")))
    with pytest.raises(SummaryError, match=r"cannot be compared(.|\n)*differ in bos"):
        summarise([one, two])
    older = perplexity_record("g", "dense", 0.0)
    assert list(mismatches(Comparison(begun(perplexity_record("g", "svd-llm", 0.2), "text"), older, "dense"))) == []


def test_a_card_shows_no_dense_number_of_another_convention():
    own, dense = perplexity_record("g", "svd-llm", 0.2), perplexity_record("g", "dense", 0.0)
    alike = numbers([begun(own, "window").to_dict()], [begun(dense, "window").to_dict()])
    apart = numbers([begun(own, "none").to_dict()], [begun(dense, "window").to_dict()])
    kept = joined([begun(own, "window").to_dict()], [begun(own, "none").to_dict()])
    both = numbers(kept, [])
    assert "| perplexity (bos: window)" in both and "| perplexity (bos: none)" in both, "neither is in the place of the other"
    (index,) = model_index("g", kept) or []
    assert len(index["results"]) == len([row for row in own.results if row.metric == "perplexity"]), "the hub gets those read as it needs"
    again = begun(replace(own, results=tuple(replace(row, value=1.5) for row in own.results)), "window", needs=False)
    (index,) = model_index("g", joined([begun(own, "text", needs=False).to_dict()], [again.to_dict()])) or []
    assert [found["metrics"][0]["value"] for found in index["results"]] == [row.value for row in own.results if row.metric == "perplexity"]
    assert "dense" in alike and "dense" not in apart and "bos none" in apart
