"""Methods in words: what is told apart by a setting that changes the result is told apart in print."""

from dataclasses import fields, replace

import pytest

from drank.methods import METHODS, Method
from drank.reporting.recipes import follows, given, method_in, ranks, reads, texts


def words(method, ratio=1.0):
    settings = method.settings(ratio)
    return ranks(settings), reads(settings), follows(settings)


@pytest.mark.parametrize("label", METHODS)
def test_settings_are_the_method(label):
    assert method_in(METHODS[label].settings() | {"unknown": 1}) == METHODS[label]


CHANGES = [
    ("asvd", {"alpha": 0.7}),
    ("gfwsvd", {"weighting": "kronecker-fisher"}),
    ("io-svd", {"damping": 0.2}),
    ("l-rank", {"labels": "text"}),
    ("l-rank", {"steps": 2}),
    ("l-rank", {"scope": "type"}),
    ("asvd-search", {"dense_past_break_even": False}),
    ("svd-llm", {"storage": "pivoted"}),
    ("svd-llm", {"rank_multiple": 8}),
    ("l-rank", {"normalise": True}),
    ("l-rank", {"refit_from": None}),
    ("l-rank", {"refit": "in-order"}),
    ("l-rank", {"refit": "anchored"}),
    ("l-rank", {"compensation": 0.0}),
    ("aa-svd", {"compensation": 0.0}),
    ("l-rank", {"corrections": 0}),
    ("l-rank", {"finetune_from": 0.1}),
    ("d-rank", {"density": "stable-rank"}),
    ("d-rank", {"rebalance": "parameters"}),
    ("d-rank", {"beta": 0.0}),
    ("d-rank", {"guard": True}),
    ("d-rank", {"group": 3}),
    ("d-rank", {"floor": 0.5}),
    ("d-rank", {"cap": 1.5}),
    ("swift-svd", {"mix": 0.0}),
    ("random-ranks", {"seed": 7}),
    ("svd-llm", {"allocator": "optimal"}),
    ("svd-llm", {"weighting": "identity"}),
    ("svd-llm", {"allocator": "given", "plan": "0.4.json"}),
]


@pytest.mark.parametrize(("label", "change"), CHANGES)
def test_a_change_that_changes_the_result_is_told_apart_in_print(label, change):
    whole, changed = METHODS[label], replace(METHODS[label], **change)
    assert whole.settings() != changed.settings()
    assert words(whole) != words(changed)


def test_every_option_that_changes_a_result_is_tried_above():
    names = {"title", "paper", "control", "compresses", "budgeted", "checkpoint", "calibration"}
    assert {option for _, change in CHANGES for option in change} == {field.name for field in fields(Method)} - names


def test_what_is_not_in_effect_at_a_ratio_is_not_said_to_follow():
    method = METHODS["d-rank"]
    assert follows(method.settings(0.2)) == "" and follows(method.settings(0.4)) == "refit in order"
    assert method.settings(0.2) == replace(method, refit_from=None).settings()
    assert method.settings(0.2).keys() == {field.name for field in fields(Method)}


def test_words_of_methods():
    assert words(METHODS["dense"]) == ("", "", "")
    assert words(METHODS["svd"]) == ("identity, uniform", "", "")
    assert words(replace(METHODS["svd"], allocator="given", plan="mine.json")) == ("identity, given", "", "")
    assert words(METHODS["d-rank"]) == ("whitening, groups of 2, effective-rank, β 0.3", "inputs", "refit in order")
    assert words(METHODS["swift-svd"])[0] == "whitening, importance-loss, mix chosen, floor 0.5"
    assert words(replace(METHODS["swift-svd"], mix=0.0))[0] == "whitening, importance-loss, mix 0, floor 0.5"
    assert words(METHODS["zs-svd"])[1] == "inputs, gradients (text labels)"
    assert words(METHODS["fwsvd"])[1] == "gradients (text labels)"
    assert words(METHODS["aa-svd"]) == ("whitening, uniform", "inputs, outputs of the dense model", "anchored factors (1)")
    found = words(METHODS["l-rank"])
    assert found[0] == "kronecker-fisher, damping 0.1, optimal, one budget, dense past break-even, pivoted"
    assert found[1:] == ("inputs, gradients (sampled labels), outputs of the dense model", "compensated refit (0.5), 4 corrections")


def test_a_given_plan_is_told_by_what_is_in_it():
    settings = replace(METHODS["svd"], allocator="given", plan="plans/mine-{ratio}.json").settings(0.4)
    one, other = ({"given": {"sha256": digit * 64, "method": "d-rank"}} for digit in "1a")
    assert given(settings | one) == "mine-0.4.json of d-rank, SHA-256 111111111111" != given(settings | other)
    assert given(settings | {"given": {"sha256": "2" * 64, "method": None}}) == "mine-0.4.json, SHA-256 222222222222"
    assert given(settings) == "mine-0.4.json" and given(METHODS["svd"].settings()) == ""


def test_texts_are_named_with_their_amounts():
    facts = {"corpus": "wiki", "split": "train", "windows": 256, "length": 2048, "seed": 13}
    search = {"corpus": "wiki", "split": "validation", "windows": 8, "length": 512}

    def told(calibration, making=None):
        return texts({"calibration": calibration, "making": making})

    assert told(facts) == told({**facts, "gradient_windows": 256}) == "wiki.train, 256 × 2048 tokens"
    assert told({**facts, "gradient_windows": 128}) == "wiki.train, 256 × 2048 tokens, gradients on 128"
    assert told({**facts, "search": search}).endswith("; search wiki.validation, 8 × 512 tokens")
    assert told({"search": search}, {"texts": {"finetune": facts}}) == (
        "search wiki.validation, 8 × 512 tokens; fine-tuning wiki.train, 256 × 2048 tokens"
    )
    assert told(None) == told({}) == told(None, {"texts": {}}) == ""
