"""Shares cover all of the work, each item once."""

from __future__ import annotations

from itertools import chain

import pytest

from drank.runtime.shares import WHOLE, Share, check_complete


def shares(count: int) -> list[Share]:
    return [Share(number, count) for number in range(1, count + 1)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
@pytest.mark.parametrize(("items", "batch"), [(5, 2), (8, 4), (3, 8), (12, 1), (0, 4)])
def test_shares_hold_every_item_once_and_in_order_and_whole_batches(count, items, batch):
    found = [list(range(items))[share.batches(items, batch)] for share in shares(count)]
    assert list(chain(*found)) == list(range(items))
    assert all(part[0] % batch == 0 for part in found if part), "a part starts where a batch does"
    batches = -(-items // batch)
    assert sum(map(bool, found)) == min(count, batches)
    lengths = [-(-len(part) // batch) for part in found]
    assert max(lengths) - min(lengths) <= 1, "no share has more than a batch more than another"


def test_shares_that_take_turns_hold_every_item_once():
    taken = [[item for item in range(10) if share.takes(item)] for share in shares(4)]
    assert sorted(chain(*taken)) == list(range(10)) and taken[1] == [1, 5, 9]


def test_a_share_is_written_as_snakemake_names_the_items_of_a_scatter():
    assert Share.named("2-of-4") == Share(2, 4) and str(Share(2, 4)) == "2-of-4" and str(WHOLE) == "1-of-1"
    for wrong in ("0-of-4", "5-of-4", "2", "2-of-4.tsv"):
        with pytest.raises(ValueError, match="2-of-4"):
            Share.named(wrong)


@pytest.mark.parametrize(
    "wrong", [[], [Share(1, 2)], [Share(2, 2)], [Share(2, 2), Share(1, 2)], [Share(1, 3), Share(2, 2)], [Share(1, 2)] * 2]
)
def test_only_all_shares_of_one_division_are_complete(wrong):
    check_complete(shares(3), "moments")
    with pytest.raises(ValueError, match="the parts of moments are shares"):
        check_complete(wrong, "moments")
