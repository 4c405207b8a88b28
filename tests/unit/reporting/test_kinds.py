"""Which methods are like which."""

from dataclasses import replace

import pytest

from drank.methods import METHODS
from drank.reporting.kinds import kind_of


@pytest.mark.parametrize(
    ("label", "ratio", "said"),
    [
        ("svd-llm", 0.2, "training-free, two factors"),
        ("d-rank", 0.2, "training-free, two factors"),
        ("d-rank", 0.4, "refitted, two factors"),
        ("aa-svd", 0.2, "refitted, two factors"),
        ("asvd-search", 0.2, "training-free, two factors or dense"),
        ("l-rank-scalar", 0.2, "training-free, pivoted or dense"),
        ("l-rank", 0.2, "refitted and corrected, pivoted or dense"),
    ],
)
def test_a_method_is_of_the_kind_of_what_was_done_at_its_ratio(label, ratio, said):
    assert str(kind_of(METHODS[label].settings(ratio))) == said


def test_all_that_is_done_is_said():
    everything = replace(METHODS["l-rank"], finetune_from=0.0, dense_past_break_even=False)
    assert str(kind_of(everything.settings(0.2))) == "refitted, corrected and fine-tuned by LoRA, pivoted"


@pytest.mark.parametrize("label", ["dense", "rounded-4"])
def test_what_does_not_compress_is_of_no_kind(label):
    assert kind_of(METHODS[label].settings()) is None
