"""What else a machine did while models were timed is said in the caption of their table."""

import pandas as pd
import pytest

from drank.reporting.artefact import tables_of
from drank.reporting.neighbours import neighbours, where
from drank.reporting.summary import summarise
from tests.unit.records_fixture import METHODS
from tests.unit.reporting.tables_of import throughput_table
from tests.unit.reporting.test_artefact import material, told


@pytest.fixture(scope="module")
def summary(records):
    return summarise(records, METHODS)


def machine(summary, ratio, **values):
    """The summary with other numbers of the machine at one ratio."""
    here = (summary["dataset"] == "machine") & (summary["ratio"] == ratio) & (summary["model"] == "docs-mha")
    kept, row = summary[~here], summary[here].iloc[0]
    rows = [row.to_dict() | {"metric": metric, "value": value} for metric, value in values.items()]
    return pd.concat([kept, pd.DataFrame(rows).astype(summary.dtypes.to_dict())], ignore_index=True)


def test_little_other_work_is_said_in_one_sentence(summary):
    assert neighbours(summary, "docs-mha") == "Other work kept up to 0.02 cores busy meanwhile."
    assert "0.02 cores busy" in throughput_table(summary, "docs-mha").caption


def test_threads_that_gave_way_are_named_with_the_ratios_and_the_reason(summary):
    busy = machine(summary, 0.2, threads=1, threads_asked=2, other_load=0.9, crowded_rounds=0.25)
    told = neighbours(busy, "docs-mha")
    assert "kept cores busy that 2 threads needed, so that all models at 20\u202f% were timed with one: two spinning threads" in told
    assert "up to 0.90 cores busy meanwhile, in 25\u202f% of the rounds where a timing needed them." in told


def test_it_is_said_in_the_tables_of_a_run():
    """The material of an artefact holds the data sets that it shows, and those that its captions speak of."""
    captions = [table.caption for table in tables_of(told("timings"), material("timings"))]
    assert captions and all("Other work kept up to 0.02 cores busy" in caption for caption in captions)


def test_what_vllm_ran_is_said_to_be_timed_there(summary):
    served = machine(summary, 0.2, threads=1, threads_asked=1, by_vllm=1)
    assert (where(served), where(summary)) == (" in vLLM", "")
    caption = throughput_table(served, "docs-mha").caption
    assert caption.startswith("Throughput and size of docs-mha in vLLM: ") and "memory vLLM itself takes was not measured" in caption
    assert "vLLM" not in throughput_table(summary, "docs-mha").caption


def test_where_the_system_does_not_say_nothing_is_said(summary):
    silent = summary[summary["dataset"] != "machine"]
    assert neighbours(silent, "docs-mha") == ""
    assert "  " not in throughput_table(silent, "docs-mha").caption


def test_models_that_took_no_turns_are_said_to_be_compared_across_times(summary):
    assert "one after the other" in neighbours(machine(summary, 0.2, threads=1, threads_asked=1, in_turn=0), "docs-mha")
    assert "one after the other" not in neighbours(machine(summary, 0.2, threads=1, threads_asked=1, in_turn=1), "docs-mha")


@pytest.mark.parametrize(
    ("turns", "rounds", "words"),
    [
        ((1, 1), (True, True), "dense model in the same round (below it the 95\u202f% interval), and"),
        ((1, 1), (False, False), "dense model in the same round, and"),
        ((1, 1), (True, False), "dense model in the same round (below it the 95\u202f% interval, where there is one), and"),
        ((0, 0), (False, False), "dense model, and"),
        (
            (1, 0),
            (True, False),
            "dense model in the same round where models took turns (below it the 95\u202f% interval, where there is one), and",
        ),
    ],
)
def test_the_caption_says_what_the_speed_over_dense_is(summary, turns, rounds, words):
    """By ratio whether models took turns, and whether rounds were enough for an interval."""
    made = summary
    for ratio, turn, enough in zip((0.2, 0.4), turns, rounds, strict=True):
        made = machine(made, ratio, in_turn=turn)
        short = (made["ratio"] == ratio) & (not enough)
        made = made.assign(**{end: made[end].mask(short) for end in ("ci_low", "ci_high")})
    made = made[(made["ratio"] > 0) | ~made["metric"].isin(["speedup_over_dense", "noise_ratio"])]
    caption = throughput_table(made, "docs-mha").caption
    assert words in caption
    assert ("Too few rounds were in turn to say" in caption) == (0 in turns)
    assert ("The rounds are too few to say" in caption) == (0 not in turns and not all(rounds))
    without = made[made["metric"] != "speedup_over_dense"]
    assert "speed over that" not in throughput_table(without, "docs-mha").caption
