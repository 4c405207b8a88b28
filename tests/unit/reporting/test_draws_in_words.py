"""What the report says of runs with several draws of the calibration text: who is best by the means, and that the first draw is tested."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from drank.reporting.names import number
from drank.reporting.report.accuracy import accuracy_lines
from drank.reporting.report.price import price
from drank.reporting.report.random_draw import against_random_ranks
from drank.reporting.report.verdict import OVER_DRAWS, headline
from drank.reporting.report.winners import contests
from drank.reporting.summary import summarise
from drank.reporting.tables.choice import choice
from drank.reporting.tables.numbers import Entry, per_model
from drank.variants import is_variant
from tests.unit.artefacts_fixture import DENSE, grid
from tests.unit.artefacts_fixture import material_of as artefact_of
from tests.unit.records_fixture import all_records, perplexity_record, zeroshot_record
from tests.unit.report_page import page_of
from tests.unit.reporting.planted import frontier
from tests.unit.reporting.tables_of import answers_table, main_table, paired_table
from tests.unit.reporting.test_draws import drawn
from tests.unit.reporting.test_price import numbers_of, with_gaps

AHEAD = "not told apart: on the first draw of the calibration text, which is tested, the runner-up is ahead"
RIVALS = [perplexity_record("docs-mha", "dense", 0.0), perplexity_record("docs-mha", "d-rank", 0.2, damage=0.98)]
"""D-Rank lies above the first draw of SVD-LLM and below the mean of its three."""


def models_of(records):
    summary = summarise(records)
    return list(per_model(summary[~summary["method"].map(is_variant)]))


def test_the_best_is_that_of_the_means_and_no_test_of_it_is_claimed():
    models = models_of([*drawn(), *RIVALS])
    decided = contests(models)
    assert [one.method for one in decided] == ["d-rank"] * 3 and {one.significance for one in decided} == {AHEAD}
    assert {one.runner_up for one in decided} == {"SVD-LLM"} and all(one.margin.startswith("+") for one in decided)
    first, second, *_ = headline(models, decided)
    assert "D-Rank has the lowest perplexity in all 3" in first and "In none of the 3 is the best told apart" in first
    assert second == OVER_DRAWS


def test_what_is_said_of_the_best_is_of_its_mean():
    models = models_of([*drawn(), RIVALS[0], perplexity_record("docs-mha", "d-rank", 0.2, damage=2.0)])
    decided = contests(models)
    means = {one.corpus: one.value.draw_mean for one in decided}
    assert [one.method for one in decided] == ["svd-llm"] * 3 and all(one.gap.place == 1 for one in decided)
    assert [one.perplexity for one in decided] == [number(mean) for mean in means.values()]
    dense = {corpus: models[0].get(models[0].dense, corpus, "perplexity").value for corpus in means}
    rises = sorted(100 * (mean / dense[corpus] - 1) for corpus, mean in means.items())
    assert [one.over_dense for one in decided] == [f"+{100 * (mean / dense[corpus] - 1):.1f}\u202f%" for corpus, mean in means.items()]
    *_, focus, cost = headline(models, decided)
    assert f"perplexity is {rises[0]:.1f} to {rises[-1]:.1f}\u202f% higher with 20" in cost
    others = {corpus: models[0].get(Entry("d-rank", 0.2), corpus, "perplexity").value for corpus in means}
    changes = sorted(100 * (others[corpus] / mean - 1) for corpus, mean in means.items())
    assert f"(paired 95\u202f% intervals of the first draw): its perplexity is {changes[0]:.1f} to {changes[-1]:.1f}\u202f% higher" in focus


def test_random_ranks_are_held_against_the_mean():
    models = models_of([*drawn(), perplexity_record("docs-mha", "random-ranks", 0.2, damage=0.98)])
    told = against_random_ranks(models)
    assert told[0].startswith("SVD-LLM has the lower perplexity in 0 of 3 comparisons")
    assert told[1].endswith("(paired 95\u202f% intervals of the first draw of the calibration text).")


def test_the_nats_of_what_could_be_used_instead_are_those_of_the_mean():
    material = with_gaps(frontier(ratios=(0.2, 0.4), timed=False))
    own = (material.numbers["label"] == "l-rank") & (material.numbers["metric"] == "perplexity")
    for more, told in {0.02: "L-Rank at 20\u202f% loses 0.080", 0.5: "D-Rank at 20\u202f% loses 0.180"}.items():
        means = (material.numbers["value"] * math.exp(more)).where(own)
        models = numbers_of(replace(material, numbers=material.numbers.assign(draw_mean=means)))
        assert f"of their models of one {told} nats per token" in price(models, contests(models), {})[-1]


def test_accuracy_is_that_of_the_mean_and_says_what_is_tested():
    first, rival = zeroshot_record("m", "svd-llm", 0.2), zeroshot_record("m", "d-rank", 0.2)

    def moved(record, by, label="svd-llm"):
        return replace(record, method=label, results=tuple(replace(row, value=row.value + by) for row in record.results))

    (numbers,) = models_of([moved(first, 0.1), moved(first, -0.5, "svd-llm+draw=14"), rival])
    (line,) = accuracy_lines(numbers)
    best = next(row.value for row in rival.results if row.dataset == "average")
    assert f"D-Rank keeps the highest average accuracy, {100 * best:.1f}\u202f% (over draws" in line and AHEAD in line
    (numbers,) = models_of([moved(first, 0.1), moved(first, -0.1, "svd-llm+draw=14")])
    mean = next(row.value for row in first.results if row.dataset == "average")
    shown = numbers.get(Entry("svd-llm", 0.2), "average", "accuracy").shown
    assert shown == pytest.approx(mean)
    assert f"SVD-LLM keeps the highest average accuracy, {100 * shown:.1f}\u202f% (over draws" in accuracy_lines(numbers)[0]


def test_the_page_says_so_at_its_table_of_winners_where_there_are_several_draws():
    words = (
        "Over several draws of the calibration text perplexities are the mean; runner-up, difference and test are those of the first draw."
    )
    assert words in page_of([*drawn(), *RIVALS]) and words not in page_of([*drawn()[:1], *RIVALS])


def test_a_choice_is_made_by_the_means():
    material = artefact_of([*DENSE, *grid("d-rank", (0.2,), beta=[0.2, 0.3, 0.4])], {"validation": "python-code", "on": ["python-docs"]})
    several = material.numbers["beta"].notna()
    numbers = material.numbers.assign(draw_mean=(1000 - material.numbers["value"]).where(several), spread=1.0)
    one, other = choice(material), choice(replace(material, numbers=numbers))
    rows = material.numbers[several & (material.numbers["metric"] == "perplexity")]
    values = {name: rows.loc[rows["dataset"] == name, "value"].to_numpy() for name in ("python-code", "python-docs")}
    betas = np.array([0.2, 0.3, 0.4])
    for table, pick in ((one, np.argmin), (other, np.argmax)):
        found = table.frame.iloc[0]
        assert (found["beta_by_validation"], found["beta_by_test"]) == tuple(betas[pick(found)] for found in values.values())
    assert found["perplexity_by_test"] == pytest.approx(1000 - values["python-docs"].max())
    assert ("calibration text" in one.caption, "calibration text" in other.caption) == (False, True)


def test_captions_say_which_draw_a_number_is_of():
    summary = summarise(all_records(("m",), ("dense", "svd-llm", "d-rank"), (0.2,)))
    several = summary["method"] == "d-rank"
    again = summary.assign(draw_mean=summary["value"].where(several), spread=summary["value"].where(several), draws=3)
    for table, words in {
        main_table: "± one standard error of the average of runs with one draw of the calibration text; over draws of the calibration text "
        "their mean ± standard deviation, tested on the first.",
        paired_table: "Of several draws of the calibration text the first is compared.",
        answers_table: "Over draws of the calibration text their mean ± standard deviation, tested on the first.",
    }.items():
        assert words in table(again, "m").caption and "calibration" not in table(summary, "m").caption


def test_one_draw_is_told_as_before():
    (numbers,) = models_of([*drawn()[:1], *RIVALS])
    assert not numbers.drawn
    assert "first draw" not in " ".join(headline([numbers], contests([numbers])))
