"""The sentences that say who wins, and where nobody does."""

import re
from dataclasses import replace

from drank.reporting.report.accuracy import accuracy_lines
from drank.reporting.report.verdict import CHANCE, contests, headline
from drank.reporting.summary import summarise
from drank.reporting.tables.numbers import Entry, Numbers, per_model
from tests.unit.records_fixture import METHODS, all_records, perplexity_record


def verdict(records):
    models = list(per_model(summarise(records, METHODS)))
    return headline(models, contests(models))


def test_the_first_sentence_is_short_and_names_the_winners_of_each_kind_and_of_all(records):
    first, second, *_ = verdict(records)
    assert first == (
        "Lowest perplexity of the training-free methods with two factors: D-Rank and SVD-LLM in 6 of 12 comparisons each, all of these "
        "by more than chance; of the refitted methods with two factors: D-Rank in all 6 comparisons, all of these by more than chance; "
        "over all kinds: D-Rank in all 6 comparisons, all of these by more than chance."
    )
    assert second.startswith("Highest average accuracy of the training-free methods with two factors: ") and second.endswith(CHANCE)


def test_a_sentence_names_the_winner_of_a_kind_and_a_later_one_that_of_all(records):
    lines = verdict(records)[2:]
    assert lines[0].startswith(
        "Of the training-free methods with two factors, no method wins everywhere; lowest perplexity in 12 comparisons"
    )
    assert "D-Rank in 6" in lines[0] and "SVD-LLM in 6" in lines[0]
    assert lines[1].startswith(
        "Of the refitted methods with two factors, D-Rank has the lowest perplexity in all 6 comparisons (2 models × 1 ratio × 3 corpora). "
        "The best is told apart from the runner-up (Basis Sharing) in each of the 6, by "
    )
    assert lines[2].startswith("Over all kinds, D-Rank (refitted, two factors) has the lowest perplexity in all 6 comparisons")
    assert "significantly better in 12 of 12" in lines[3]
    assert re.search(r"its perplexity is [\d.]+ to [\d.]+\u202f% lower\.", lines[3])


def test_the_margins_are_those_of_the_summary(records):
    summary = summarise(records, METHODS)
    best = summary[
        (summary["metric"] == "log_perplexity_minus_best") & (summary["place"] == 1) & (summary["kind"] == "refitted, two factors")
    ]
    sizes = best["value"].abs()
    assert f"by {sizes.min():.4f} to {sizes.max():.4f} nats per token (p < 0.001 after Holm's correction)" in verdict(records)[3]


def losing(method="d-rank", damage=3.0, ratios=(0.2,)):
    """A run in which a method does badly, all of one kind."""
    made = all_records(models=("docs-mha",), ratios=ratios, kinds=("perplexity",))
    return [perplexity_record("docs-mha", method, one.ratio, damage=damage) if one.method == method else one for one in made]


def test_it_says_so_when_d_rank_loses():
    lines = verdict(losing())
    assert lines[0].startswith(
        "Of the training-free methods with two factors, Basis Sharing has the lowest perplexity in all 3 comparisons "
        "(1 model × 1 ratio × 3 corpora)."
    )
    assert "significantly worse in 3" in lines[1]
    assert "% higher" in lines[1]


def test_it_says_so_when_nobody_wins_everywhere():
    made = [one for one in losing(ratios=(0.2, 0.3)) if (one.method, one.ratio) != ("d-rank", 0.3)]
    lines = verdict([*made, perplexity_record("docs-mha", "d-rank", 0.3)])
    assert "no method wins everywhere" in lines[0]
    assert "D-Rank in 3" in lines[0]
    assert "Basis Sharing in 3" in lines[0]
    assert re.search(r"between [\d.]+\u202f% lower and [\d.]+\u202f% higher", lines[1])


def near(damage=1.199, **more):
    return [
        perplexity_record("m", "dense", 0.0, **more),
        perplexity_record("m", "svd-llm", 0.2, **more),
        perplexity_record("m", "d-rank", 0.2, damage=damage, **more),
    ]


def test_a_win_within_the_noise_is_said_to_be_none_with_what_would_have_been_found():
    summary = summarise(near(), METHODS)
    (line, *_), found = verdict(near()), contests(list(per_model(summary)))
    assert "In none of the 3 is the best told apart from the runner-up" in line
    sizes = summary.loc[summary["place"] == 1, "detectable"]
    assert f"a difference of {sizes.min():.4f} to {sizes.max():.4f} nats per token would have been found four times of five." in line
    assert all(re.fullmatch(r"not told apart, p = [\d.]+; 0\.\d{4} would have been found", one.significance) for one in found)


def test_some_told_apart_and_some_not():
    records = near()
    clear = perplexity_record("m", "d-rank", 0.2, damage=0.5)
    mixed = {**records[2].detail, "python-code": clear.detail["python-code"]}
    results = tuple(clear.results[4:] + records[2].results[:4])
    (line, *_) = verdict([*records[:2], replace(records[2], detail=mixed, results=results)])
    assert "The best is told apart from the runner-up (SVD-LLM) in 1 of the 3, by " in line
    assert "In 2 of the 3 the best is not told apart from the runner-up" in line


def test_a_single_comparison_is_told_with_its_interval():
    records = [replace(one, results=one.results[:2], detail={"python-docs": one.detail["python-docs"]}) for one in near(0.8)]
    summary = summarise(records)
    row = summary[(summary["place"] == 1)].iloc[0]
    value, low, high = (f"−{abs(row[name]):.4f}" for name in ("value", "ci_low", "ci_high"))
    assert verdict(records)[0] == (
        "Of the training-free methods with two factors, D-Rank has the lowest perplexity in the only comparison "
        f"(1 model × 1 ratio × 1 corpus). The difference to the runner-up SVD-LLM is {value} [{low}, {high}] nats per token "
        "(after Holm's correction told apart, p < 0.001)."
    )


def test_one_window_is_too_little_to_tell():
    found = contests(list(per_model(summarise(near(windows=1)))))
    assert {one.significance for one in found} == {"not told apart: too little was measured to tell"}
    assert "nan" not in " ".join(verdict(near(windows=1)))


def test_who_has_no_rival_of_its_kind_is_said_to_have_none():
    lines = verdict([perplexity_record("m", "svd", 0.4), perplexity_record("m", "d-rank", 0.4)])
    assert lines[0].startswith("Over all kinds, D-Rank (refitted, two factors) has the lowest perplexity in all 3 comparisons")
    assert lines[1] == "SVD (training-free, two factors) and D-Rank (refitted, two factors) have no rival of their kind."


def test_accuracy_is_told_by_kind_and_against_the_runner_up(records):
    numbers = Numbers(summarise(records, METHODS), "docs-mha")
    lines = accuracy_lines(numbers)
    assert [line.partition(":")[0] for line in lines] == [
        "20\u202f% removed, of the training-free methods with two factors",
        "40\u202f% removed, of the training-free methods with two factors",
        "40\u202f% removed, of the refitted methods with two factors",
    ]
    gap = numbers.get(Entry("d-rank", 0.2), "average", "accuracy_minus_best")
    assert (
        f"; +{100 * gap.value:.1f} points [" in lines[0]
        and "against the runner-up Basis Sharing (after Holm's correction told apart, p < 0.001" in lines[0]
    )


def test_ranking_puts_the_best_first(records):
    numbers = Numbers(summarise(records, METHODS), "docs-mha")
    assert numbers.ranking(0.2, "python-docs", "perplexity")[0][0].method == "d-rank"
    assert numbers.ranking(0.2, "average", "accuracy", low=False)[0][0].method == "d-rank"


def test_with_one_kind_accuracy_comes_after_perplexity_and_says_what_chance_is():
    lines = verdict(all_records(models=("m",), ratios=(0.2,), methods=("dense", "svd-llm", "d-rank")))
    assert lines[0].startswith("Of the training-free methods with two factors, D-Rank has the lowest perplexity")
    assert lines[1].startswith("Highest average accuracy of the training-free methods with two factors: D-Rank in the only comparison, ")
    assert lines[1].endswith(CHANCE)


def test_accuracy_is_told_where_perplexity_has_no_contest():
    records = all_records(models=("m",), ratios=(0.2,), methods=("dense", "svd-llm", "d-rank"))
    lines = verdict([record for record in records if (record.kind, record.method) != ("perplexity", "svd-llm")])
    assert "there is no winner by perplexity" in lines[0] and lines[1].startswith("Highest average accuracy of the")
