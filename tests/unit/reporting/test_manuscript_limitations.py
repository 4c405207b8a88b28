"""The limitations of a manuscript: each sentence stands where the records say so, and nowhere else."""

from dataclasses import replace

import pandas as pd
import pytest

from drank.reporting.manuscript import Exhibit
from drank.reporting.manuscript.limitations import FEW_ITEMS, FEW_WINDOWS, SMALL, Evidence, limitations
from drank.reporting.material import Material
from drank.reporting.records import Result
from drank.reporting.report.checks import Check, checks
from drank.reporting.summary import summarise
from drank.reporting.tables.numbers import per_model
from tests.unit.records_fixture import METHODS, all_records, perplexity_record, throughput_record, zeroshot_record


def told(records, **more):
    """The limitations of these records as one text."""
    models = list(per_model(summarise(records, METHODS)))
    return " ".join(limitations(Evidence(records, models, more.pop("exhibits", []), more.pop("checks", checks(models, records)), **more)))


def with_provenance(record, **fields):
    return replace(record, provenance=record.provenance | fields)


def test_a_sound_run_of_a_small_model_says_how_small_it_is():
    text = told(all_records())
    for part in ("6.00 million parameters", "no more than 48 windows", "no more than 400 items", "one draw of python-docs (seed 13)"):
        assert part in text
    assert "Perplexity on python-docs is on the corpus of calibration" in text
    assert "Of 4 checks of the pipeline 4 hold: full rank equals dense to rounding;" in text
    for part in ("fails", "Not applicable", "Made by others", "Published", "differ in"):
        assert part not in text


def test_large_models_many_windows_and_many_items_are_no_limitation():
    dense = perplexity_record("m", "dense", 0.0, windows=FEW_WINDOWS)
    dense = replace(dense, size=replace(dense.size, parameters=int(SMALL)))
    tasks = zeroshot_record("m", "dense", 0.0, items=FEW_ITEMS)
    tasks = replace(tasks, size=dense.size)
    text = told([dense, tasks])
    assert "million parameters" not in text and "windows of a corpus" not in text and "items" not in text
    assert "one draw" not in text and "calibration" not in text


def test_a_failed_check_stands_first():
    text = told(all_records(), checks=[Check("Nobody cheats", "m", False, "two did"), Check("All are here", "m", True, "yes")])
    assert text.startswith("A check of the pipeline fails on m")
    assert "Nobody cheats (two did)" in text and "Of 2 checks of the pipeline 1 hold: all are here." in text


def test_two_draws_are_no_single_draw():
    records = all_records(kinds=("perplexity",))
    other = [
        with_provenance(one, calibration=one.provenance["calibration"] | {"seed": 42}) if one.method == "svd-llm" else one
        for one in records
    ]
    assert "one draw" in told(records) and "one draw" not in told(other)


def test_text_that_no_method_was_calibrated_on_flatters_nobody():
    records = [
        with_provenance(one, calibration=one.provenance["calibration"] and one.provenance["calibration"] | {"corpus": "elsewhere"})
        for one in all_records(kinds=("perplexity",))
    ]
    assert "flatters" not in told(records)


def test_another_split_of_the_corpus_of_calibration_flatters_too():
    one = perplexity_record("m", "svd-llm", 0.2)
    rows = tuple(replace(row, dataset=f"{row.dataset}.validation") for row in one.results)
    split = replace(one, results=rows, detail={f"{name}.validation": found for name, found in one.detail.items()})
    assert "Perplexity on python-docs.validation is on the corpus of calibration" in told([split])
    fitted = replace(one, results=(*one.results, Result("python-docs.train", "overfitting", 0.1)))
    assert "Perplexity on python-docs is on" in told([fitted]), "overfitting is measured on the very text, and no perplexity"


def test_timings_of_identical_ranks_tell_their_noise():
    one, two = throughput_record("m", "svd", 0.4), throughput_record("m", "svd-llm", 0.4)
    slower = replace(
        two, results=tuple(replace(row, value=other.value / 1.23, ci_low=None) for row, other in zip(two.results, one.results, strict=True))
    )
    text = told([throughput_record("m", "dense", 0.0), one, slower])
    assert "identical ranks differ by up to 1.23\u202f× in throughput (prefill of SVD and SVD-LLM at 40\u202f%, m)" in text
    assert "processor alone" in text
    other = throughput_record("m", "d-rank", 0.4)
    assert "identical ranks" not in told([throughput_record("m", "dense", 0.0), one, other])
    assert "processor alone" not in told([with_provenance(one, device="cuda")])


@pytest.mark.parametrize("better", [True, False])
def test_a_method_near_random_ranks_is_named(better):
    rival = perplexity_record("m", "d-rank", 0.2, damage=0.5 if better else 9.0)
    text = told([perplexity_record("m", "dense", 0.0), rival, perplexity_record("m", "random-ranks", 0.2)])
    assert ("D-Rank has the lower perplexity in 0 of 3 comparisons" in text) != better


def test_refusals_others_checkpoints_published_values_and_mixed_machines_are_told():
    records = all_records(kinds=("perplexity",))
    theirs = with_provenance(
        perplexity_record("m", "asvd", 0.0), checkpoint={"source": {"hub": "org/name", "revision": "main"}, "files": {}}
    )
    numbers = pd.DataFrame({"model": ["m"], "metric": ["perplexity"]})
    exhibit = Exhibit("t", "t.tex", Material("t", numbers, published=numbers))
    text = told([*records, theirs], refused={"docs-gqa": {"d-rank": "no groups"}, "docs-mha": {}}, exhibits=[exhibit])
    assert "On docs-gqa: Not applicable: D-Rank (no groups)." in text and "On docs-mha" not in text
    assert "Made by others" in text and "ASVD (org/name@main)" in text
    assert "Published values were measured by others" in text
    assert "differ in torch: 2.13.0 and 3.0" in told(
        [*records[:-1], with_provenance(records[-1], packages=records[-1].provenance["packages"] | {"torch": "3.0"})]
    )


def test_a_draw_is_counted_for_each_corpus():
    records = all_records(kinds=("perplexity",))
    other = [
        with_provenance(one, calibration=one.provenance["calibration"] | {"corpus": "c4", "seed": 42}) if one.method == "svd-llm" else one
        for one in records
    ]
    for corpus, seed in {"python-docs": 13, "c4": 42}.items():
        assert f"All methods that read {corpus} were calibrated on one draw of {corpus} (seed {seed})" in told(other)
    assert "All methods were calibrated on one draw of python-docs (seed 13)" in told(records)


def test_the_standard_error_is_that_of_the_task_with_the_fewest_items():
    record = zeroshot_record("m", "d-rank", 0.2)
    first, *others = record.results
    text = told([replace(record, results=(replace(first, count=300, stderr=0.011), *(replace(row, stderr=0.03) for row in others)))])
    assert "A task has no more than 300 items (continuation), one standard error of which is up to 1.1 points." in text
