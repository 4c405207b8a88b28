"""What a pivot marks, against paired tests by hand: the best of its kind, and who is not told apart from it.

Rivals are all runs of a kind at a model, a ratio and a data set.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from scipy.stats import ttest_rel

from drank.reporting.material import numbers_of
from drank.reporting.names import method_name
from drank.reporting.summary import summarise
from drank.reporting.tables.pivot import pivot
from drank.reporting.tables.quantities import quality
from drank.runtime.grouping import AVERAGE
from tests.unit.artefacts_fixture import DENSE, grid, material_of
from tests.unit.records_fixture import CORPORA, TASKS

FREE = [*grid("svd-llm"), *grid("basis-sharing", group=[2, 3, 4]), *grid("svd"), *grid("d-rank"), *grid("random-ranks")]
RUNS = [*DENSE, *FREE, *grid("d-rank", beta=[0.2])]
BY_RUN = {"rows": ["model", "label"], "columns": ["ratio", "dataset"]}


def kind_of(label, ratio):
    """As published: D-Rank refits from 40 % on, all else is cut and left so (the fixture makes variants so too)."""
    return "refitted" if (label, ratio) == ("d-rank", 0.4) else "training-free"


def made_of(runs, options, metric, models=("docs-mha",)):
    """The material of these runs without an average, so that every comparison is of one data set."""
    kind = {"perplexity": "perplexity", "accuracy": "zeroshot"}[metric]
    material = material_of(runs, options | {"metric": metric}, models, (kind,))
    records = [replace(one, results=tuple(row for row in one.results if row.dataset != AVERAGE)) for one in material.records]
    points = material.numbers[["model", "method", "label", "ratio", *material.axes]].drop_duplicates().to_dict("records")
    summary = summarise(records, among={(point["model"], point["label"], point["ratio"]) for point in points})
    return replace(material, records=records, numbers=numbers_of(summary, points))


def units_of(record, dataset, metric):
    """What is compared: the loss per token of each window, or the errors on each item; the smaller the better."""
    told = record.detail[dataset]
    if metric == "accuracy":
        return 1 - np.asarray(told["correct"], float)
    return np.asarray(told["window_loss"]) / np.asarray(told["window_tokens"])


def by_hand(material, metric):
    """The runs that are bold, underlined, and best of all kinds: by model, label, ratio and data set."""
    contests = {}
    for record in material.records:
        if record.method not in ("dense", "random-ranks"):
            for dataset in record.detail:
                place = record.model, record.ratio, dataset, kind_of(record.method, record.ratio)
                contests.setdefault(place, []).append((record.method, units_of(record, dataset, metric)))
    ranked = {place: sorted(runs, key=lambda run: run[1].mean()) for place, runs in contests.items()}
    p_values = {place: ttest_rel(runs[0][1], runs[1][1]).pvalue for place, runs in ranked.items() if len(runs) > 1}
    told, running = set(), 0.0
    for index, place in enumerate(sorted(p_values, key=p_values.__getitem__)):
        running = max(running, p_values[place] * (len(p_values) - index))
        told |= {place} if running < 0.05 else set()
    bold, near, best = set(), set(), set()
    for place in p_values:
        (model, ratio, dataset, _), runs = place, ranked[place]
        ends = [ttest_rel(units, runs[0][1]).confidence_interval(0.95) for _, units in runs[1:]]
        within = [label for (label, _), (low, high) in zip(runs[1:], ends, strict=True) if low <= 0 <= high]
        close = within if place in told else unique([runs[0][0], runs[1][0], *within])
        bold |= {(model, runs[0][0], ratio, dataset)} if place in told else set()
        near |= {(model, label, ratio, dataset) for label in close}
    for (model, ratio, dataset), places in groupby(sorted(ranked), key=lambda place: place[:3]):
        kinds = [ranked[place][0] for place in places]
        best |= {(model, min(kinds, key=lambda run: run[1].mean())[0], ratio, dataset)} if len(kinds) > 1 else set()
    return bold, near, best


def unique(labels):
    return list(dict.fromkeys(labels))


def marked_in(table, material, datasets):
    """The same, as a pivot of `BY_RUN` shows it."""
    labels = {method_name(label): label for label in material.numbers["label"]}
    bold, near, best, model = set(), set(), set(), ""
    places = [(ratio, dataset) for ratio in (0.2, 0.4) for dataset in datasets]
    for row in (row for block in table.blocks for row in block):
        model = row[0].text or model
        for cell, place in zip(row[2:], places, strict=True):
            run = {(model, labels[row[1].text], *place)}
            bold |= run if cell.bold else set()
            near |= run if cell.underlined else set()
            best |= run if cell.text.endswith("†") else set()
    return bold, near, best


@pytest.mark.parametrize("metric", ["perplexity", "accuracy"])
def test_marks_are_those_of_paired_tests_by_hand(metric):
    datasets = list({"perplexity": CORPORA, "accuracy": TASKS}[metric])
    material = made_of(RUNS, BY_RUN | {"on": datasets}, metric, ("docs-mha", "docs-gqa"))
    bold, near, best = by_hand(material, metric)
    assert marked_in(pivot(material), material, datasets) == (bold, near, best)
    assert near and len(best) == 2 * len(datasets) and all(ratio == 0.4 for _, _, ratio, _ in best)
    assert bold if metric == "perplexity" else not bold


def test_marks_are_the_same_wherever_a_run_stands_and_those_of_the_other_tables():
    """A column of its own makes nobody the best: rivals are all of a kind at the ratio."""
    material = made_of(RUNS, BY_RUN, "perplexity")
    other = replace(material, options={"rows": ["dataset", "method"], "columns": ["ratio", "group", "beta"], "metric": "perplexity"})
    found = [
        sorted((cell.text, cell.bold, cell.underlined) for block in table.blocks for row in block for cell in row if "." in cell.text)
        for table in (pivot(material), pivot(other), quality(material))
    ]
    runs = [[one for one in cells if any(one[1:])] for cells in found]
    assert runs[0] and runs[0] == runs[1] == runs[2]


def test_nothing_is_bold_that_is_not_tested_and_the_caption_says_so():
    draws = material_of(
        [*grid("d-rank", draw=[13, 42]), *grid("svd")], {"rows": ["method"], "columns": ["ratio", "dataset"], "over": "draw"}
    )
    window_mean = made_of(RUNS, BY_RUN, "perplexity")
    window_mean = replace(window_mean, options=BY_RUN | {"metric": "perplexity_minus_dense"})
    for material, told in ((draws, True), (window_mean, False)):
        table = pivot(material)
        assert not any(cell.bold or cell.underlined or "†" in cell.text for block in table.blocks for row in block for cell in row)
        assert ("Nothing is bold, for these numbers are not tested." in table.caption) == told


def test_the_caption_says_the_rule_and_the_kinds():
    caption = pivot(made_of(RUNS, BY_RUN, "perplexity", ("docs-mha", "docs-gqa"))).caption
    assert (
        "Bold: the best of its kind at its ratio among the methods of this table, told apart from the second (paired test, 5\u202f% after "
        "Holm's correction)" in caption
    )
    free = "SVD-LLM, Basis Sharing, SVD, D-Rank at 20\u202f% and D-Rank (β = 0.2)"
    assert f"Kinds: training-free, two factors ({free}); refitted, two factors (D-Rank at 40\u202f%)." in caption
    alone = made_of([*DENSE, *grid("svd-llm")], BY_RUN, "perplexity")
    assert "old" not in pivot(alone).caption and "Kinds" not in pivot(alone).caption
