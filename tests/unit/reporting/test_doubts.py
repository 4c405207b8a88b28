"""What to doubt follows from the numbers: each sentence is there when they give cause, and only then."""

from dataclasses import replace

import pytest

from drank.reporting.report.doubts import WINDOWS, doubts
from drank.reporting.summary import summarise
from drank.reporting.tables.numbers import per_model
from tests.unit.records_fixture import METHODS, all_records, perplexity_record, provenance_of, zeroshot_record

MODELS = ("docs-mha", "docs-gqa")


def said(records):
    return doubts(records, list(per_model(summarise(records, METHODS))))


def about(words, records):
    return [sentence for sentence in said(records) if words in sentence]


def changed(record, **values):
    return replace(record, provenance={**record.provenance, **values})


def calibrated(record, **values):
    facts = record.provenance["calibration"]
    return changed(record, calibration={**facts, **values}) if facts else record


def test_one_draw_of_the_calibration_text_is_told_once_for_all_models(records):
    (sentence,) = about("one draw", records)
    assert sentence.startswith("docs-mha, docs-gqa: 8 of 8 compressed models") and "(seed 13)" in sentence


def test_several_draws_leave_nothing_to_say():
    records = all_records(models=("m",), kinds=("perplexity",))
    assert about("one draw", [calibrated(record, seed=[13, 42]) for record in records]) == []
    both = [
        *records,
        *(calibrated(replace(record, kind="zeroshot"), seed=42) for record in all_records(models=("m",), kinds=("zeroshot",))),
    ]
    assert about("one draw", both) == []
    again = [calibrated(replace(record, method=f"{record.method}+draw=42"), seed=42) for record in records if record.method != "dense"]
    assert about("one draw", [*records, *again]) == []


@pytest.mark.parametrize(("windows", "told"), [(WINDOWS - 1, 1), (WINDOWS, 0)])
def test_few_windows(windows, told):
    records = [perplexity_record("m", method, ratio, windows) for method, ratio in (("dense", 0.0), ("d-rank", 0.2))]
    found = about("windows of text", records)
    assert len(found) == told
    assert not found or f"python-docs, python-reference, python-code rests on {windows} windows of text, fewer than {WINDOWS}" in found[0]


def test_little_calibration_for_the_width_is_what_records_say_of_it():
    records = all_records(models=("m",), ratios=(0.2,), kinds=("perplexity",))
    assert about("channel", [changed(record, tokens_per_channel=40.0) for record in records]) == []
    (sentence,) = about("channel", [changed(record, tokens_per_channel=39.0) for record in records])
    assert "fewer than 40 tokens a channel" in sentence and "39.0 for" in sentence


def test_a_method_that_does_no_better_than_one_answer_is_told():
    records = [zeroshot_record("m", method, ratio, items=4000) for method, ratio in (("dense", 0.0), ("d-rank", 0.2))]
    level = [
        replace(row, metric="majority", value=0.999) for row in records[1].results if row.metric == "accuracy" and row.dataset != "average"
    ]
    assert about("the same answer", records) == []
    found = about("the same answer", [records[0], replace(records[1], results=[*records[1].results, *level])])
    assert len(found) == len(level) and all("99.9" in one and "D-Rank at 20\u202f%" in one for one in found)


def test_tasks_near_chance_are_named_with_their_numbers():
    weak, clear = zeroshot_record("m", "dense", 0.0, items=30), zeroshot_record("m", "dense", 0.0, items=4000)
    assert about("near guessing", [clear]) == []
    (sentence,) = about("near guessing", [weak])
    at = [row for row in weak.results if row.dataset != "average" and row.value - row.chance < 4 * row.stderr]
    assert at and all(f"{row.dataset} {100 * row.value:.1f} ± {100 * row.stderr:.1f} against 25.0" in sentence for row in at)


def test_a_task_of_which_the_dense_model_does_nothing_is_named_too():
    """As one whose answers are written may be: it has no chance level, and no error."""
    clear = zeroshot_record("m", "dense", 0.0, items=4000)
    none, *rest = clear.results
    dead = replace(none, value=0.0, ci_low=0.0, ci_high=0.0, stderr=0.0, chance=0.0)
    (sentence,) = about("near guessing", [replace(clear, results=(dead, *rest))])
    assert f"at {none.dataset} 0.0 ± 0.0 against 0.0\u202f%." in sentence
    perfect = replace(dead, value=1.0, ci_low=1.0, ci_high=1.0)
    assert about("near guessing", [replace(clear, results=(perfect, *rest))]) == []


def test_a_text_that_methods_calibrated_on_is_told(records):
    (sentence,) = about("calibrated on as well", records)
    assert "python-docs is the corpus that 4 methods" in sentence
    other = [calibrated(record, corpus="elsewhere") for record in records]
    assert about("calibrated on as well", other) == []


def renamed(record, old, new):
    """A record of a text under another name, as an artefact calls another split."""
    rows = tuple(replace(row, dataset=new) if row.dataset == old else row for row in record.results)
    return replace(record, results=rows, detail={new if name == old else name: told for name, told in record.detail.items()})


def test_another_split_of_a_text_that_methods_calibrated_on_is_told_too(records):
    measured = [renamed(record, "python-docs", "python-docs.validation") for record in records]
    (sentence,) = about("calibrated on as well", measured)
    assert "python-docs.validation is of the corpus that 4 methods" in sentence
    other = [renamed(calibrated(record, corpus="docs"), "python-docs", "docs.v1") for record in records]
    other[-1] = calibrated(other[-1], corpus="docs.v1")
    assert not any("docs.v1 is of" in sentence for sentence in about("calibrated on as well", other)), "that is a corpus of its own"


def test_texts_that_began_otherwise_than_the_family_needs():
    record = changed(perplexity_record("m", "dense", 0.0), needs_bos=True)
    assert about("need a BOS", [record]) and not about("need a BOS", [perplexity_record("m", "dense", 0.0)])


def test_code_and_machines(records):
    assert not about("come from", records)
    dirty = changed(records[0], git={"commit": "f" * 40, "dirty": True}, machine=provenance_of()["machine"] | {"cpu": "Another"})
    found = about("come from", [dirty, *records[1:]])
    assert found[0].startswith(f"1 of {len(records)} records come from code with uncommitted changes")
    assert "2 commits (ffffffffffff, c0ffee000000)" in found[1] and "2 machines (Another; Test CPU)" in found[2]


def test_nothing_measured_nothing_doubted():
    assert doubts([], []) == []


def test_methods_that_were_measured_on_some_of_the_texts_are_told_with_the_texts_that_they_lack():
    records = all_records(models=("m",), ratios=(0.2, 0.3), kinds=("perplexity",))
    assert about("every text", records) == []

    def fewer(record):
        rows = tuple(row for row in record.results if row.dataset == "python-docs")
        return replace(record, results=rows, detail={"python-docs": record.detail["python-docs"]})

    (sentence,) = about("every text", [fewer(record) if record.method == "d-rank" else record for record in records])
    assert sentence.startswith("m: not everything was compared") and sentence.endswith(
        ": D-Rank at 20\u202f% and 30\u202f% not on python-reference and python-code."
    )


def test_a_text_that_a_ratio_lacks_altogether_is_told_too():
    records = all_records(models=("m",), ratios=(0.2, 0.3), kinds=("perplexity",))

    def without_code(record):
        rows = tuple(row for row in record.results if row.dataset != "python-code")
        return replace(record, results=rows, detail={key: found for key, found in record.detail.items() if key != "python-code"})

    (sentence,) = about("every text", [without_code(record) if record.ratio == 0.3 else record for record in records])
    assert sentence.endswith(": nothing at 30\u202f% on python-code.")


def test_a_method_without_perplexity_is_told_beside_those_with_it():
    records = [record for record in all_records(models=("m",), ratios=(0.2,)) if (record.kind, record.method) != ("perplexity", "d-rank")]
    (sentence,) = about("every text", records)
    assert sentence.endswith(": D-Rank at 20\u202f% not on python-docs, python-reference and python-code.")
