"""What D-Rank's published code moves from Q and K to V, by hand."""

import numpy as np
import pytest

from drank.allocation.evidence import Evidence
from drank.allocation.problem import Problem
from drank.allocation.rebalancing import REBALANCES
from drank.models.groups import Shape


def moved(ranks: dict[str, list[int]], beta: float, sizes: dict[str, tuple[int, int]], name: str) -> dict[str, list[int]]:
    shapes = tuple(Shape(kind, (i,), *sizes[kind]) for kind, ks in ranks.items() for i in range(len(ks)))
    case = Problem("q, k, v", shapes, 0, (1,) * len(shapes), tuple(s.max_rank for s in shapes), False, Evidence(shapes))
    found = REBALANCES[name](case, np.array([float(k) for ks in ranks.values() for k in ks]), beta).tolist()
    return {kind: [int(k) for k, s in zip(found, shapes, strict=True) if s.kind == kind] for kind in ranks}


@pytest.mark.parametrize(
    ("ranks", "expected"),
    [
        ({"q": [10, 12], "k": [8, 5], "v": [20, 20]}, {"q": [8, 10], "k": [6, 4], "v": [24, 24]}),  # 3.5 each is rounded to 4
        ({"q": [10, 12], "k": [8, 8], "v": [20, 20, 20]}, {"q": [8, 10], "k": [6, 6], "v": [23, 23, 23]}),
        ({"q": [10, 12, 3], "k": [8, 8, 8], "v": [20] * 3}, {"q": [8, 10, 2], "k": [6, 6, 6], "v": [24, 24, 24]}),
        ({"q": [1, 2], "k": [1, 1], "v": [3, 4]}, {"q": [1, 2], "k": [1, 1], "v": [3, 4]}),
    ],
)
def test_whole_ranks_move_as_the_release_moves_them(ranks, expected):
    """Every part is rounded on its own, so that V may gain more than was taken."""
    assert moved(ranks, 0.2, dict.fromkeys(ranks, (8192, 8192)), "whole-ranks") == expected


def test_what_rounding_leaves_goes_to_the_first_groups():
    ranks = {"q": [10] * 7, "k": [2] * 7, "v": [5] * 7}
    assert moved(ranks | {"q": [10] * 6 + [20]}, 0.2, dict.fromkeys(ranks, (64, 64)), "whole-ranks")["v"] == [8, 8] + [7] * 5


def test_what_v_cannot_take_of_ranks_goes_back():
    """At most 4096: first to the smallest groups of V, then to Q and K as they gave."""
    ranks = {"q": [4000, 4000], "k": [2000, 2000], "v": [4000, 3000]}
    found = moved(ranks, 0.2, dict.fromkeys(ranks, (8192, 8192)), "whole-ranks")
    # V takes 1192 of 2400; of the 1208 that are left Q has 805 and K 403, of which 201.5 each are rounded to 202.
    assert found == {"q": [3603, 3602], "k": [1802, 1802], "v": [4096, 4096]}


def test_what_v_cannot_take_of_parameters_goes_back():
    sizes = {"q": (40, 40), "k": (40, 10), "v": (40, 10)}
    found = moved({"q": [20, 20], "k": [5, 5], "v": [9, 10]}, 0.2, sizes, "whole-parameters")
    assert found["v"] == [10, 10]
    assert found["q"] == [20, 20] and found["k"] == [5, 5], "nearly everything went back, rounded to whole ranks"


@pytest.mark.parametrize("name", ["whole-ranks", "whole-parameters"])
def test_where_nothing_is_taken_nothing_moves(name):
    """Not even what V has past its largest rank."""
    sizes = {"q": (40, 40), "k": (40, 10), "v": (40, 10)}
    found = moved({"q": [20, 20], "k": [5, 5], "v": [12, 10]}, 0.001, sizes, name)
    assert found["q"] == [20, 20] and found["k"] == [5, 5] and found["v"][1] == 10
