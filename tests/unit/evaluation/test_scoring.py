"""From marks to rows: what guessing scores, and intervals that a share can have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.evaluation.zeroshot.groups import Group
from drank.evaluation.zeroshot.scoring import scored
from drank.statistics.proportions import wilson


def marks(scores, right=((0,),), choices=4):
    """The marks of a task; items take turns in what is right of them."""
    items = [
        {"item": place, "choices": choices, "acc": float(score), "chosen": 0, "right": list(right[place % len(right)])}
        for place, score in enumerate(scores)
    ]
    return {"version": 1, "metrics": ["acc"], "items": items, "cut": 0}


def by_task(found):
    return {row["dataset"]: row for row in found if row["metric"] == "accuracy"}


def test_guessing_hits_any_of_the_right_answers():
    rows, _ = scored({"one": marks([0, 1]), "two": marks([0, 1], right=((0, 2), (1,))), "twice": marks([0, 1], right=((3, 3),))})
    assert [by_task(rows)[name]["chance"] for name in ("one", "two", "twice")] == [0.25, (0.5 + 0.25) / 2, 0.25]


@pytest.mark.parametrize("score", [0, 1])
def test_where_all_items_agree_the_interval_has_a_width_still(score):
    rows, _ = scored({"a": marks([score] * 10), "b": marks([score] * 40)})
    found = by_task(rows)
    assert (found["a"]["ci_low"], found["a"]["ci_high"]) == pytest.approx(wilson(score, 10))
    for row in found.values():
        assert row["ci_high"] - row["ci_low"] > 0.04 and row["value"] in (row["ci_low"], row["ci_high"])


@given(st.lists(st.sampled_from([0, 0.2, 0.9, 1]), min_size=2, max_size=30), st.lists(st.integers(0, 1), min_size=2, max_size=30))
def test_no_interval_has_an_end_that_a_score_cannot_be(partly, wholly):
    group = Group(("partly", "wholly"), by_size=True, version=1)
    rows, _ = scored({"partly": marks(partly), "wholly": marks(wholly)}, {"both": group})
    assert list(by_task(rows)) == ["both", "partly", "wholly", "average"]
    for row in by_task(rows).values():
        assert 0 <= row.get("ci_low", 0) <= row["value"] + 1e-12 and row["value"] - 1e-12 <= row.get("ci_high", 1) <= 1 + 1e-12
