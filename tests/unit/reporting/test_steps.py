"""A chain of runs: what each change is worth, what is chance, and the sentences that say so."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from drank.reporting.artefact import findings_of
from drank.reporting.tables.steps import steps, words
from drank.statistics.paired import paired_difference
from tests.unit.artefacts_fixture import DENSE, grid, material_of, texts

CHAIN = {"svd": "start", "svd-llm": "weighting", "d-rank": "ranks"}
RUNS = [*DENSE, *grid("svd"), *grid("svd-llm"), *grid("d-rank")]
DRAWS = [13, 42, 512]
OPTIONS = {"chain": CHAIN, "on": ["python-docs"]}


def windows(material, label, ratio, dataset="python-docs"):
    found = [one for one in material.records if (one.method, one.ratio) == (label, ratio)]
    return found[0].detail[dataset]["window_loss"], found[0].detail[dataset]["window_tokens"]


def mean(material, label, ratio):
    losses, tokens = windows(material, label, ratio)
    return sum(losses) / sum(tokens)


def with_losses(material, label, ratio, factor):
    """The material with the losses of one run multiplied."""

    def changed(record):
        detail = {name: {**told, "window_loss": [factor * loss for loss in told["window_loss"]]} for name, told in record.detail.items()}
        return replace(record, detail=detail) if (record.method, record.ratio) == (label, ratio) else record

    return replace(material, records=[changed(record) for record in material.records])


def test_each_row_is_the_difference_to_the_row_above_with_its_paired_interval():
    material = material_of(RUNS, OPTIONS)
    frame = steps(material).frame.set_index(["ratio", "step"])
    labels = list(CHAIN)
    for ratio in (0.2, 0.4):
        for before, label in pairwise(labels):
            expected = paired_difference(*windows(material, label, ratio), *windows(material, before, ratio)).log_perplexity
            row = frame.loc[(ratio, CHAIN[label])]
            assert (row["nats"], row["ci_low"], row["ci_high"]) == pytest.approx(tuple(expected), abs=0)
            assert row["perplexity"] == pytest.approx(np.exp(mean(material, label, ratio)))
        whole = frame.loc[(ratio, "whole")]
        assert whole["nats"] == pytest.approx(mean(material, "d-rank", ratio) - mean(material, "svd", ratio))
        assert frame.loc[ratio]["nats"].iloc[1:3].sum() == pytest.approx(whole["nats"])
        assert frame.loc[ratio]["share"].iloc[1:3].sum() == pytest.approx(1)


def test_the_table_has_a_block_for_each_ratio_and_marks_what_is_better():
    table = steps(material_of(RUNS, OPTIONS))
    assert [group for group, _ in table.groups] == ["", "python-docs"]
    rows = texts(table)
    assert [row[:3] for row in rows[:4]] == [
        ["20\u202f%", "start", "SVD"],
        ["", "weighting", "SVD-LLM"],
        ["", "ranks", "D-Rank"],
        ["", "whole", ""],
    ]
    assert rows[1][4].startswith("−0.357 [−0.373, −0.341]")
    assert [cell.text for block in table.blocks for row in block for cell in row if cell.bold] == ["−0.357", "−0.023", "−1.077", "−0.074"]
    worse = steps(with_losses(material_of(RUNS, OPTIONS), "d-rank", 0.2, 2.0))
    assert not worse.blocks[0][2][4].bold
    assert len(steps(material_of(RUNS, {"chain": CHAIN})).groups) == 4


def test_words_share_out_the_difference():
    material = material_of(RUNS, {**OPTIONS, "chain": {**CHAIN, "d-rank": "ranks and storage"}})
    assert words(material)[0] == (
        "Of the 0.380 nats per token between SVD and D-Rank at 20\u202f% (docs-mha, python-docs), "
        "94\u202f% are due to weighting and 6\u202f% to ranks and storage."
    )
    back = {"svd": "start", "d-rank": "ranks", "svd-llm": "uniform ranks"}
    assert words(material_of(RUNS, {**OPTIONS, "chain": back}))[0].endswith(
        ", 106\u202f% are due to ranks; 6\u202f% are lost again to uniform ranks."
    )
    alike = replace(
        material, records=[replace(one, detail=material.records[1].detail) if one.ratio == 0.2 else one for one in material.records]
    )
    assert words(alike)[0].startswith("No difference can be measured between SVD and D-Rank at 20\u202f%")
    assert texts(steps(alike))[3][5] == ""


def test_draws_tell_what_chance_is():
    runs = [*grid("svd", (0.4,)), *grid("svd-llm", (0.4,), draw=DRAWS), *grid("d-rank", (0.4,), draw=DRAWS)]
    material = material_of(runs, OPTIONS)
    table = steps(material)
    spreads = [np.var([mean(material, f"{method}+draw={draw}", 0.4) for draw in DRAWS], ddof=1) for method in ("svd-llm", "d-rank")]
    chance = np.sqrt(np.mean(spreads))
    assert table.frame["chance"].tolist() == pytest.approx([chance] * 4)
    assert texts(table)[-1] == ["draws", "one draw or another", "", f"±{chance:.3f}", "", ""]
    beyond = [row[-1] for row in texts(table)]
    differences = table.frame["nats"].abs() > chance
    assert beyond[1:3] == ["yes" if beyond_it else "no" for beyond_it in differences[1:3]]
    assert beyond[1] == "yes"
    assert "one draw" not in str(texts(steps(material_of(RUNS, OPTIONS))))


def test_differences_within_chance_are_named():
    runs = [*grid("svd", (0.4,)), *grid("svd-llm", (0.4,), draw=DRAWS), *grid("d-rank", (0.4,), draw=DRAWS)]
    wide = with_losses(material_of(runs, OPTIONS), "d-rank+draw=512", 0.4, 3.0)
    assert texts(steps(wide))[2][-1] == "no"
    assert ": weighting, ranks." in words(wide)[0]
    assert "All are larger than the spread of a run over draws" in words(material_of([*runs[:3], *grid("d-rank", (0.4,))], OPTIONS))[0]


def test_the_dense_model_may_begin_a_chain():
    table = steps(material_of(RUNS, {"chain": {"dense": "start", "d-rank": "compression"}, "on": ["python-docs"]}))
    assert table.frame["label"].tolist()[:2] == ["dense", "d-rank"]
    assert table.frame["nats"].dropna().gt(0).all()


def test_chains_that_cannot_be_made_say_why():
    with pytest.raises(ValueError, match="option chain needs two runs or more, and has svd"):
        steps(material_of(RUNS, {"chain": {"svd": "start"}}))
    with pytest.raises(
        ValueError, match="option chain names asvd, which is no run of the artefact; name one of dense, svd, svd-llm, d-rank"
    ):
        steps(material_of(RUNS, {"chain": {"asvd": "start", "d-rank": "ranks"}}))
    with pytest.raises(ValueError, match=r"names d-rank, which has d-rank\+group=1, d-rank\+group=2; name one of"):
        steps(material_of(grid("svd") + grid("d-rank", group=[1, 2]), {"chain": {"svd": "start", "d-rank": "ranks"}}))
    with pytest.raises(ValueError, match=r"names svd, which has no run at ratio 0.4; add it to the runs"):
        steps(material_of(grid("svd", (0.2,)) + grid("d-rank"), {"chain": {"svd": "start", "d-rank": "ranks"}}))
    with pytest.raises(ValueError, match=r"no record of perplexity of docs-mha, svd, ratio 0.2; there are records of nothing"):
        steps(replace(material_of(RUNS, OPTIONS), records=[]))
    other = material_of(RUNS, OPTIONS)
    strange = [replace(one, detail={"python-docs": {**one.detail["python-docs"], "text_sha256": "1" * 64}}) for one in other.records[1:2]]
    with pytest.raises(ValueError, match="these runs cannot be compared; delete the older record"):
        steps(replace(other, records=[*strange, *other.records[2:]]))


def test_the_words_are_what_a_report_says_of_a_chain_and_of_nothing_else():
    material = material_of(RUNS, OPTIONS)
    assert findings_of({"layout": "steps"}, material) == words(material) != []
    assert findings_of({"layout": "quality"}, material) == []


def test_a_share_that_prints_as_zero_has_no_sign():
    """A step that loses next to nothing: its losses are those of the step before, and a ten-thousandth more."""
    material = material_of(RUNS, OPTIONS)
    losses = [1.0001 * loss for loss in windows(material, "svd-llm", 0.2)[0]]

    def changed(record):
        detail = {**record.detail, "python-docs": {**record.detail["python-docs"], "window_loss": losses}}
        return replace(record, detail=detail) if (record.method, record.ratio) == ("d-rank", 0.2) else record

    table = steps(replace(material, records=[changed(record) for record in material.records]))
    assert -0.005 < table.frame["share"].iloc[2] < 0
    assert texts(table)[2][5] == "0\u202f%"
