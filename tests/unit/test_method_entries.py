"""What a configuration may change in a method, and what it may not."""

from __future__ import annotations

import pytest

from drank.config.method_entries import method_of
from drank.methods import METHODS
from drank.runtime.suggestions import near


def test_options_change_a_method_and_its_name_stays():
    method = method_of("d-rank", {"group": 1, "beta": 0.0})
    assert (method.group, method.beta, method.title, method.spectrum) == (1, 0.0, "D-Rank", "whitening-n1")
    assert METHODS["d-rank"].group == 2, "the table itself is left alone"


def test_a_method_of_ones_own_starts_from_a_base():
    method = method_of("no-rebalancing", {"base": "d-rank", "beta": 0.0})
    assert (method.title, method.group, method.allocator, method.beta) == ("no-rebalancing", 2, "effective-rank", 0.0)
    assert method_of("mine", {"base": "svd", "title": "Mine"}).title == "Mine"


def test_a_rounding_has_other_blocks_under_its_name_and_other_bits_under_one_of_its_own():
    changed = method_of("rounded-8", {"checkpoint": {"bits": 8, "block": 64}})
    assert (changed.title, changed.checkpoint) == ("Rounded to 8 bits", {"bits": 8, "block": 64})
    assert METHODS["rounded-8"].checkpoint == {"bits": 8, "block": 32}
    own = method_of("rounded-3", {"checkpoint": {"bits": 3, "block": 32}})
    assert own.title == "rounded-3" and not own.compresses and not own.budgeted


def test_unknown_names_come_with_near_ones():
    with pytest.raises(ValueError, match=r"method 'd-rnk' is unknown \(did you mean d-rank or l-rank\?\); known: dense, rounded-8"):
        method_of("d-rnk", {})
    with pytest.raises(ValueError, match="method 'svdllm' is unknown"):
        method_of("mine", {"base": "svdllm"})
    with pytest.raises(ValueError) as error:
        method_of("d-rank", {"weighting": "whitning", "allocator": "effective_rank"})
    assert "weighting 'whitning' is unknown (did you mean whitening?)" in str(error.value)
    assert "allocator 'effective_rank' is unknown (did you mean effective-rank?)" in str(error.value)
    assert "method d-rank" in str(error.value)
    for axis in ("density", "rebalance", "scope", "refit", "labels"):
        with pytest.raises(ValueError, match=f"{axis} 'nothing' is unknown; known: "):
            method_of("d-rank", {axis: "nothing"})


def test_steps_and_what_follows_can_be_combined():
    method = method_of("mine", {"base": "l-rank", "steps": 3, "labels": "text", "compensation": 0.7, "corrections": 1})
    assert method.relinearises and method.refits(0.1) and (method.labels, method.compensation, method.corrections) == ("text", 0.7, 1)
    assert method_of("gfwsvd", {"steps": 2}).relinearises
    for refit in ("compensated", "anchored"):
        assert method_of("svd-llm", {"refit_from": 0.0, "refit": refit, "compensation": 0.0}).compensates(0.2)
        assert method_of("d-rank", {"refit_from": 0.0, "refit": refit}).compensates(0.2)
    assert method_of("aa-svd", {"compensation": 0.5, "allocator": "optimal", "corrections": 2}).compensates(0.0)


GIVEN = {"base": "svd", "allocator": "given", "plan": "plans/{ratio}/mine.json"}


@pytest.mark.parametrize("base", ["d-rank", "swift-svd", "l-rank"])
def test_with_given_ranks_nothing_stays_of_how_the_base_finds_its_own(base):
    """What is stored, and what is done to the factors, is the base's."""
    method, entry = method_of("mine", {**GIVEN, "base": base}), METHODS[base]
    assert (method.beta, method.floor, method.scope, method.density) == (0.0, 0.0, "type", "spectral-entropy")
    for name in ("weighting", "group", "storage", "dense_past_break_even", "refit_from", "corrections"):
        assert getattr(method, name) == getattr(entry, name)


def test_a_given_plan_may_be_another_at_each_ratio_and_is_told_by_its_name():
    method = method_of("mine", GIVEN)
    assert method.at(0.4).plan == "plans/0.4/mine.json" and method.ranking()["plan"] == GIVEN["plan"]
    assert method.settings(0.4)["plan"] == method.settings()["plan"] == "mine.json"


def test_near_says_nothing_where_nothing_is_near():
    assert near("zzz", METHODS) == ""
    assert near("svd-lm", METHODS) == " (did you mean svd-llm or svd-llm-v2?)"


@pytest.mark.parametrize(
    ("label", "options", "reason"),
    [
        ("d-rank", {"base": "svd"}, "the name is taken"),
        ("baseline", {"base": "dense"}, "dense goes by its own name alone"),
        ("chance", {"base": "random-ranks"}, "random-ranks goes by its own name alone"),
        ("dense", {"beta": 0.1}, "dense has no such options"),
        ("rounded-8", {"beta": 0.1}, "rounded-8 has no such options"),
        ("rounded-3", {"base": "rounded-4"}, "rounded-4 goes by its own name alone"),
        ("rounded-8", {"checkpoint": {"bits": 4, "block": 32}}, "the name is taken .* the dense model rounded to 4 bits in blocks of 32"),
        ("rounded-8", {"checkpoint": {"path": "theirs"}}, "the name is taken"),
        ("dense", {"checkpoint": {"bits": 8, "block": 32}}, "the name is taken"),
        ("svd", {"allocator": "full"}, "meets no budget"),
        ("mine", {"base": "svd-llm", "mix": 0.5, "alpha": 0.3}, "mix, alpha would change nothing"),
        ("mine", {"base": "svd-llm", "refit": "at-once"}, "refit would change nothing"),
        ("mine", {"base": "svd-llm", "refit": "compensated"}, "refit would change nothing"),
        ("mine", {"base": "svd-llm", "refit": "anchored"}, "refit would change nothing"),
        ("mine", {"base": "aa-svd", "refit_from": None, "compensation": 0.7}, "compensation would change nothing"),
        ("mine", {"base": "aa-svd", "refit": "at-once", "compensation": 0.7}, "compensation would change nothing: .* refit at-once do not"),
        ("mine", {"base": "svd-llm", "labels": "sampled"}, "labels would change nothing"),
        ("mine", {"base": "io-svd", "labels": "sampled"}, "allocator greedy ranks components by the mean gradient"),
        ("mine", {"base": "l-rank", "allocator": "greedy"}, "set labels: text"),
        ("mine", {"base": "d-rank", "compensation": 0.7}, "compensation would change nothing: .* and refit in-order do not read it"),
        ("mine", {"base": "l-rank", "refit_from": None, "compensation": 0.7}, "compensation would change nothing"),
        ("mine", {"base": "l-rank", "weighting": "whitening", "steps": 2}, "weighting whitening reads no gradients; set steps: 1, or"),
        ("io-svd", {"steps": 2}, "steps 2 measures moments and gradients again .* allocator greedy reads slopes too"),
        ("full-rank", {"weighting": "fisher-rows", "steps": 2}, "meets no budget that could be neared in steps"),
        ("mine", {"base": "zs-svd", "beta": 0.2}, "beta 0.2 moves ranks"),
        ("mine", {"base": "d-rank-released", "scope": "model"}, "set scope: type"),
        ("mine", {"base": "svd-llm", "guard": True}, "guard would change nothing"),
        ("mine", {"base": "d-rank", "guard": True, "scope": "model"}, "guard decides for each type"),
        ("mine", {"base": "d-rank-released", "rank_multiple": 8}, "rank for rank, which has no rank_multiple"),
        ("mine", {"base": "d-rank-released-gqa", "floor": 0.5, "cap": 2.0}, "has no floor, cap"),
        ("mine", {"base": "svd", "plan": "mine.json"}, "plan would change nothing: allocator uniform"),
        ("mine", {"base": "svd", "allocator": "given"}, "has the ranks of a plan, and none is named; add its file, plan: PATH"),
        ("full-rank", {"allocator": "given", "plan": "mine.json"}, "full-rank meets no ratio, and a plan is for one"),
        (
            "mine",
            {**GIVEN, "floor": 0.5, "cap": 2.0, "scope": "model", "rank_multiple": 8},
            "which has no scope, floor, cap, rank_multiple",
        ),
        ("mine", {**GIVEN, "beta": 0.1}, "those of allocator given stay; set beta: 0"),
        (
            "mine",
            {**GIVEN, "density": "stable-rank", "guard": True, "mix": 0.5, "seed": 7},
            "density, guard, mix, seed would change",
        ),
        ("mine", {**GIVEN, "base": "l-rank", "steps": 2}, "has ranks for the ratio alone, none for the steps to it; set steps: 1"),
        ("asvd", {"alpha": 0.33333331}, "alpha 0.33333331 has more than six digits"),
    ],
)
def test_what_would_mislead_is_refused(label, options, reason):
    with pytest.raises(ValueError, match=reason):
        method_of(label, options)
