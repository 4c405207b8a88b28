"""Methods in words: what is told apart by a setting that changes the result is told apart in print."""

from dataclasses import fields, replace

import pytest

from drank.methods import METHODS, Method
from drank.reporting.recipes import calibration, follows, method_in, ranks, reads


def words(method, ratio=1.0):
    settings = method.settings(ratio)
    return ranks(settings), reads(settings), follows(settings)


@pytest.mark.parametrize("label", METHODS)
def test_settings_are_the_method(label):
    assert method_in(METHODS[label].settings() | {"unknown": 1}) == METHODS[label]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"refit_from": None}, "refit"),
        ({"refit": "in-order"}, "refit"),
        ({"corrections": 0}, "3 corrections"),
        ({"finetune_from": 0.1}, "LoRA"),
    ],
)
def test_l_rank_with_and_without_what_follows_are_told_apart(change, where):
    whole, changed = METHODS["l-rank"], replace(METHODS["l-rank"], **change)
    assert whole.settings() != changed.settings()
    assert words(whole) != words(changed)
    assert any((where in one) != (where in other) or one != other for one, other in zip(words(whole), words(changed), strict=True))


def test_what_is_not_in_effect_at_a_ratio_is_not_said_to_follow():
    method = METHODS["d-rank"]
    assert follows(method.settings(0.2)) == "" and follows(method.settings(0.4)) == "refit in order"
    assert method.settings(0.2) == replace(method, refit_from=None).settings()
    assert method.settings(0.2).keys() == {field.name for field in fields(Method)}


def test_words_of_methods():
    assert words(METHODS["dense"]) == ("", "", "")
    assert words(METHODS["svd"]) == ("identity, uniform", "", "")
    assert words(METHODS["d-rank"]) == ("whitening, groups of 2, effective-rank, β 0.3", "inputs", "refit in order")
    assert words(METHODS["swift-svd"])[1] == "inputs, search text"
    assert words(METHODS["zs-svd"])[1] == "inputs, gradients (text labels)"
    assert words(METHODS["fwsvd"])[1] == "gradients (text labels)"
    found = words(METHODS["l-rank"])
    assert found[0] == "kronecker-fisher, damping 0.1, optimal, one budget, dense past break-even"
    assert found[1:] == ("inputs, gradients (sampled labels), outputs of the dense model", "compensated refit, 3 corrections")


def test_a_calibration_is_named_by_text_and_amount():
    facts = {"corpus": "wiki", "split": "train", "windows": 256, "length": 2048, "seed": 13}
    assert calibration(facts) == "wiki.train, 256 × 2048 tokens"
    assert calibration(None) == calibration({}) == ""
