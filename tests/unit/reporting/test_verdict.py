"""The sentences that say who wins, and where nobody does."""

import re

from drank.reporting.report.verdict import contests, headline
from drank.reporting.summary import summarise
from drank.reporting.tables.numbers import Numbers, per_model
from tests.unit.records_fixture import METHODS, all_records, perplexity_record


def verdict(records):
    models = list(per_model(summarise(records, METHODS)))
    return headline(models, contests(models))


def test_the_first_sentence_names_the_winner(records):
    assert verdict(records)[0] == "D-Rank has the lowest perplexity in all 12 comparisons (2 models × 2 ratios × 3 corpora)."
    assert "significantly better in 12 of 12" in verdict(records)[1]
    assert re.search(r"its perplexity is [\d.]+ to [\d.]+\u202f% lower\.", verdict(records)[1])


def losing(method="d-rank", damage=3.0, ratios=(0.2, 0.4)):
    """A run in which a method does badly."""
    made = all_records(models=("docs-mha",), ratios=ratios, kinds=("perplexity",))
    return [perplexity_record("docs-mha", method, one.ratio, damage=damage) if one.method == method else one for one in made]


def test_it_says_so_when_d_rank_loses():
    lines = verdict(losing())
    assert lines[0] == "Basis Sharing has the lowest perplexity in all 6 comparisons (1 model × 2 ratios × 3 corpora)."
    assert lines[1].startswith("D-Rank wins 0 of 6.")
    assert "significantly worse in 6" in lines[1]
    assert "% higher" in lines[1]


def test_it_says_so_when_nobody_wins_everywhere():
    made = [one for one in losing() if one.ratio != 0.2 or one.method != "d-rank"] + [perplexity_record("docs-mha", "d-rank", 0.2)]
    lines = verdict(made)
    assert lines[0].startswith("No method wins everywhere. Lowest perplexity in 6 comparisons")
    assert "D-Rank 3" in lines[0]
    assert "Basis Sharing 3" in lines[0]
    assert re.search(r"between [\d.]+\u202f% lower and [\d.]+\u202f% higher", lines[1])


def test_a_win_within_the_noise_is_no_win():
    records = [
        perplexity_record("m", "dense", 0.0),
        perplexity_record("m", "svd-llm", 0.2),
        perplexity_record("m", "d-rank", 0.2, damage=1.199),
    ]
    found = contests(list(per_model(summarise(records, METHODS))))
    undecided = [one for one in found if "not distinguishable" in one.significance]
    assert undecided
    assert all(one.next_best is not None for one in undecided)


def test_when_the_baseline_wins_the_margin_is_its_rivals():
    found = contests(list(per_model(summarise(losing("basis-sharing"), METHODS))))
    assert {one.method for one in found} == {"d-rank"}
    both = [one for one in losing() if one.method != "basis-sharing"]
    for one in contests(list(per_model(summarise(both, METHODS)))):
        assert one.method == "svd-llm"
        assert one.margin.startswith("D-Rank is +")
        assert one.significance == "significantly better than D-Rank"


def test_ranking_puts_the_best_first(records):
    numbers = Numbers(summarise(records, METHODS), "docs-mha")
    assert numbers.ranking(0.2, "python-docs", "perplexity")[0][0].method == "d-rank"
    assert numbers.ranking(0.2, "average", "accuracy", low=False)[0][0].method == "d-rank"
