"""The setup in words: what is told of a data set is told of the models of which it is so."""

from dataclasses import replace

from drank.reporting.manuscript.setup import setup
from tests.unit.records_fixture import perplexity_record, zeroshot_record


def told(records, about):
    (paragraph,) = (text for text in setup(records) if text.startswith(f"\\paragraph{{{about}}}"))
    return paragraph


def test_a_text_has_other_tokens_by_another_tokenizer():
    one, two = perplexity_record("one", "dense", 0.0), perplexity_record("two", "dense", 0.0, windows=40)
    text = told([one, two, perplexity_record("one", "d-rank", 0.2)], "Perplexity")
    both = "24\\,528 tokens in 48 windows each for one; 20\\,440 tokens in 40 windows each for two"
    assert f"is measured on python-docs, python-reference and python-code ({both}), in windows" in text
    assert " for one" not in told([one, replace(one, model="two")], "Perplexity"), "where it is the same it is said once"


def test_a_text_that_one_model_alone_has_in_other_windows_is_told_apart():
    one, two = perplexity_record("one", "dense", 0.0), perplexity_record("two", "dense", 0.0, windows=40)
    rows = tuple(row for row in two.results if row.dataset == "python-docs")
    text = told([one, replace(two, results=rows)], "Perplexity")
    assert "python-docs (24\\,528 tokens in 48 windows for one; 20\\,440 tokens in 40 windows for two); python-reference and" in text
    assert "and python-code (24\\,528 tokens in 48 windows each), in" in text


def test_items_of_tasks_are_told_in_the_same_way():
    records = [zeroshot_record("one", "dense", 0.0), zeroshot_record("two", "dense", 0.0, items=30)]
    assert "(400 items each for one; 30 items each for two)" in told(records, "Zero-shot accuracy")
    assert "(400 items each)." in told(records[:1], "Zero-shot accuracy")


def of_split(record, split):
    """The record with its texts measured on another split as well, and with what was asked for of its settings."""
    rows = (*record.results, *(replace(row, dataset=f"{row.dataset}.{split}") for row in record.results))
    detail = record.detail | {f"{name}.{split}": found for name, found in record.detail.items()}
    return replace(record, results=rows, detail=detail, provenance=record.provenance | {"settings": {"split": "test"}})


def test_a_text_is_told_with_the_split_that_was_measured():
    whole = of_split(perplexity_record("one", "dense", 0.0), "validation")
    text = told([whole], "Perplexity")
    assert "python-docs, python-reference and python-code (24\\,528 tokens in 48 windows, test text each); python-docs.validation, " in text
    assert "python-code.validation (24\\,528 tokens in 48 windows, validation text each)" in text
    alone = replace(whole, results=tuple(row for row in whole.results if row.dataset.endswith(".validation")))
    assert "validation text each" in told([alone], "Perplexity") and "test text" not in told([alone], "Perplexity")
    assert "held\\_out text each" in told([of_split(whole, "held_out")], "Perplexity")
    named = replace(
        alone, results=tuple(replace(row, dataset="c4.en") for row in whole.results[:1]), detail={"c4.en": whole.detail["python-docs"]}
    )
    assert "c4.en (24\\,528 tokens in 48 windows, test text)" in told([named], "Perplexity"), "the name of a corpus may have a dot"
