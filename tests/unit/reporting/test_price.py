"""What the best costs is told from what was timed and stored, and nothing of what was not."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from drank.reporting.report.price import price
from drank.reporting.report.winners import contests
from drank.reporting.tables.numbers import per_model
from tests.unit.reporting.planted import CORPORA, frontier, material, row
from tests.unit.reporting.test_masthead import timing


def numbers_of(planted):
    summary = planted.numbers.assign(method=planted.numbers["label"], place=0)
    return list(per_model(summary[summary["ratio_stored"].notna()]))


def with_gaps(planted):
    """The material with the differences to dense that a summary has, of the logarithms of its perplexities."""
    rows = planted.numbers[planted.numbers["metric"] == "perplexity"]
    dense = rows[rows["label"] == "dense"].set_index("dataset")["value"]
    gaps = rows[rows["label"] != "dense"].copy()
    gaps["value"] = [math.log(one.value / dense[one.dataset]) for one in gaps.itertuples()]
    return replace(planted, numbers=pd.concat([planted.numbers, gaps.assign(metric="log_perplexity_gap_to_dense")]))


def told(planted, chains=None):
    models = numbers_of(planted)
    return price(models, contests(models), chains or {})


def chains(folder, **seconds):
    """The time of two steps for each method, of which the first is shared."""
    shared = timing(folder, "calibrate/one", 10)
    return {
        "one": {
            method: {"0.2": {"calibrate": shared, "compress": timing(folder, f"compress/one/{method}", taken)}}
            for method, taken in seconds.items()
        }
    }


def test_the_speed_of_the_best_stands_beside_that_of_the_others():
    (line, *_) = told(frontier(ratios=(0.2,)))
    assert line == "What L-Rank costs: it generates at 1.01 × the speed of the dense model (the other methods at 1.01 ×)."
    slow = frontier(ratios=(0.2, 0.4))
    rows = (slow.numbers["label"] == "l-rank") & (slow.numbers["metric"] == "speedup_over_dense")
    slow.numbers.loc[rows, "value"] *= 0.3
    assert (
        told(slow)[0]
        == "What L-Rank costs: it generates at 0.30 to 0.32 × the speed of the dense model (the other methods at 1.01 to 1.07 ×)."
    )


def test_the_time_to_make_it_is_that_of_all_steps_beside_the_baseline(tmp_path):
    untimed = frontier(ratios=(0.2,), timed=False)
    (line, *_) = told(untimed, chains(tmp_path, **{"l-rank": 110, "svd-llm": 30}))
    assert line == (
        "What L-Rank costs: it takes 3.0 times as long to make as SVD-LLM, at most 2 min 0 s against 40 s, all steps of compressing "
        "counted."
    )
    lost = chains(tmp_path, **{"l-rank": 110})
    lost["one"]["svd-llm"] = {"0.2": {"compress": str(tmp_path / "gone.tsv")}}
    assert not any("costs" in line for line in told(untimed, lost)), "half a time is none"


def test_what_is_no_method_stands_beside_the_method_that_loses_least_on_the_same_texts():
    (line,) = told(with_gaps(frontier(ratios=(0.2, 0.4), timed=False)))
    assert line == (
        "What none of these methods made, and so competes in none of this, could be used instead: Rounded to 8 bits loses 0.000 nats per "
        "token with 27\u202f% of the bytes; Rounded to 4 bits loses 0.090 nats per token with 16\u202f% of the bytes; theirs loses 0.300 "
        "nats per token with 70\u202f% of the bytes; of their models of one L-Rank at 20\u202f% loses 0.060 nats per token with "
        "84\u202f% of the bytes, the least on average on docs, reference and code. Bytes are those of the dense model with 320 bits a "
        "number."
    )


@pytest.mark.parametrize("measured", [["docs"], ["docs", "code"]])
def test_a_method_that_lacks_a_text_of_theirs_is_not_held_against_them(measured):
    rows = [row("one", "dense", 0.0, dataset, base) for dataset, base in CORPORA.items()]
    rows += [row("one", "theirs", 0.0, dataset, CORPORA[dataset] + 0.3, checkpoint="org/theirs") for dataset in measured]
    rows += [row("one", "l-rank", 0.2, "docs", CORPORA["docs"] + 0.1)]
    rows += [row("one", "svd-llm", 0.2, dataset, base + 0.2) for dataset, base in CORPORA.items()]
    (line,) = told(with_gaps(material("few", rows)))
    assert ("L-Rank" in line) == (measured == ["docs"])


def test_others_are_timed_where_the_best_was_and_where_that_is_stands_there():
    planted = frontier(models=("one", "two"), ratios=(0.2, 0.4))
    rows = planted.numbers
    unknown = (rows["metric"] == "speedup_over_dense") & (rows["label"] == "l-rank") & ((rows["model"] == "two") | (rows["ratio"] == 0.4))
    rows.loc[(rows["metric"] == "speedup_over_dense") & (rows["label"] == "svd") & (rows["model"] == "two"), "value"] = 9.0
    assert told(replace(planted, numbers=rows[~unknown]))[0] == (
        "What L-Rank costs: it generates at 1.01 × the speed of the dense model on one at 20\u202f% (the other methods at 1.01 ×)."
    )
