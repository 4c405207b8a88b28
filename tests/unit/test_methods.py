"""The table of methods: the rows of the papers, the spectra and statistics that they share, and from which ratio on they do what."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from drank.allocation.allocators import ALLOCATORS
from drank.calibration.passes import PASSES
from drank.config.method_entries import method_of
from drank.methods import METHODS, Method, outputs_read
from drank.spectra.weightings import WEIGHTINGS


def axes(method: Method) -> tuple:
    return (method.weighting, method.group, method.allocator, method.beta, method.refit_from)


def test_the_table_is_that_of_the_papers():
    assert {name: axes(method) for name, method in METHODS.items() if method.compresses and not method.control} == {
        "svd": ("identity", 1, "uniform", 0.0, None),
        "fwsvd": ("fisher-rows", 1, "uniform", 0.0, None),
        "asvd": ("absolute-mean", 1, "uniform", 0.0, None),
        "asvd-search": ("absolute-mean", 1, "sensitivity", 0.0, None),
        "svd-llm": ("whitening", 1, "uniform", 0.0, None),
        "svd-llm-v2": ("whitening", 1, "loss-ratio", 0.0, None),
        "basis-sharing": ("whitening", 2, "uniform", 0.0, 0.4),
        "swift-svd": ("whitening", 1, "importance-loss", 0.0, None),
        "aa-svd": ("whitening", 1, "uniform", 0.0, 0.0),
        "gfwsvd": ("fitted-fisher", 1, "uniform", 0.0, None),
        "zs-svd": ("whitening", 1, "zero-sum", 0.0, None),
        "io-svd": ("likeliest-fisher", 1, "greedy", 0.0, None),
        "optimal": ("whitening", 1, "optimal", 0.0, None),
        "d-rank": ("whitening", 2, "effective-rank", 0.3, 0.4),
        "d-rank-released": ("whitening", 2, "released", 0.2, None),
        "d-rank-released-gqa": ("whitening", 1, "released-gqa", 0.1, None),
        "l-rank": ("kronecker-fisher", 1, "optimal", 0.0, 0.0),
        "l-rank-scalar": ("scalar-fisher", 1, "optimal", 0.0, None),
    }
    ours = {"l-rank", "l-rank-scalar"}
    assert {name for name, method in METHODS.items() if method.dense_past_break_even} == {"asvd-search", *ours}, "published: off"
    assert {name for name, method in METHODS.items() if method.labels == "sampled"} == ours
    told = {name: (method.refit, method.compensation) for name, method in METHODS.items() if method.corrections or method.compensates(1.0)}
    assert told == {"l-rank": ("compensated", 0.5), "aa-svd": ("anchored", 1.0)}
    assert not any(method.relinearises for method in METHODS.values())


def test_controls_and_the_dense_model():
    assert {name for name, method in METHODS.items() if method.control} == {"full-rank", "random-ranks"}
    assert {name for name, method in METHODS.items() if not method.budgeted} == {"dense", "rounded-8", "rounded-4", "full-rank"}
    assert [name for name, method in METHODS.items() if not method.compresses] == ["dense", "rounded-8", "rounded-4"]
    assert METHODS["dense"].checkpoint is None, "all others that compress nothing are measured beside it"
    assert METHODS["full-rank"].allocator == "full" and METHODS["random-ranks"].allocator == "random"
    assert METHODS["random-ranks"].weighting == METHODS["svd-llm"].weighting, "only the ranks differ from SVD-LLM"


@pytest.mark.contract
@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_made_of_known_parts_and_can_be_named(name):
    method = METHODS[name]
    assert method.weighting in WEIGHTINGS and method.allocator in ALLOCATORS
    assert method.title and method.group >= 1 and 0 <= method.beta < 1
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name), "a label is part of a path"
    assert re.fullmatch(r"[a-z0-9.-]+-n\d+", method.spectrum)
    assert method_of(name, {}) == method


def test_a_method_refuses_what_it_cannot_do():
    separate, fused = {"q", "k", "v", "o", "up", "down"}, {"qkv", "o", "up", "down"}
    for name, method in METHODS.items():
        assert method.refusal(separate, 5) is None, name
    assert "groups of 2 layers do not fit a model of 1" in (METHODS["basis-sharing"].refusal(separate, 1) or "")
    assert "beta" in (METHODS["d-rank"].refusal(fused, 5) or "")
    assert method_of("d-rank", {"beta": 0}).refusal(fused, 5) is None
    assert METHODS["svd-llm"].refusal(fused, 1) is None


def test_refit_from_its_ratio_on():
    method = METHODS["d-rank"]
    assert [method.refits(ratio) for ratio in (0.2, 0.39, 0.4, 0.5)] == [False, False, True, True]
    assert not METHODS["svd-llm"].refits(0.9)
    assert method_of("d-rank", {"refit_from": 0}).refits(0.2)
    assert not method_of("d-rank", {"refit_from": None}).refits(0.9)
    assert not any(METHODS[name].compensates(0.9) for name in ("d-rank", "basis-sharing", "svd-llm"))
    assert METHODS["aa-svd"].compensates(0.1) and METHODS["l-rank"].compensates(0.1)
    assert not method_of("l-rank", {"refit_from": None}).compensates(0.9)
    assert [method_of("l-rank", {"refit_from": 0.4}).compensates(ratio) for ratio in (0.2, 0.4)] == [False, True]


def test_ranking_options_are_what_decides_ranks_and_nothing_else():
    assert METHODS["d-rank"].ranking() == {
        "weighting": "whitening",
        "alpha": 0.5,
        "damping": 0.01,
        "labels": "text",
        "group": 2,
        "steps": 1,
        "allocator": "effective-rank",
        "density": "spectral-entropy",
        "guard": False,
        "scope": "type",
        "floor": 0.0,
        "cap": None,
        "mix": None,
        "normalise": False,
        "beta": 0.3,
        "rebalance": "ranks",
        "dense_past_break_even": False,
        "storage": "factors",
        "rank_multiple": 1,
        "seed": 13,
        "plan": None,
    }
    assert method_of("d-rank", {"refit_from": 0.1, "title": "Ours"}).ranking() == METHODS["d-rank"].ranking()
    after = {"refit_from": 0.1, "compensation": 0.7, "corrections": 1, "finetune_from": 0.2}
    assert method_of("l-rank", after).ranking() == METHODS["l-rank"].ranking()


@pytest.mark.parametrize("label", METHODS)
def test_settings_are_every_field_and_the_method_again(label):
    method = METHODS[label]
    assert method.settings().keys() == {field.name for field in fields(Method)}
    assert Method(**method.settings()) == method
    for ratio in (0.0, 0.2, 0.4, 0.9):
        at = method.at(ratio)
        assert Method(**method.settings(ratio)) == at and at.at(ratio) == at
        assert (at.refits(ratio), at.compensates(ratio), at.finetunes(ratio)) == (
            method.refits(ratio),
            method.compensates(ratio),
            method.finetunes(ratio),
        )
        assert at.ranking() == method.ranking()


OFF = {"refit_from": None, "refit": "in-order", "compensation": 0.5, "finetune_from": None}


def test_what_is_not_in_effect_at_a_ratio_does_not_tell_methods_apart_and_what_is_does():
    late = method_of("late", {"base": "l-rank", "refit_from": 0.5, "compensation": 0.7, "finetune_from": 0.6})
    plain = method_of("late", {"base": "l-rank", "refit_from": None})
    assert late.settings(0.4) == plain.settings(0.4) and OFF.items() <= late.settings(0.4).items()
    assert late.settings(0.5)["refit"] == "compensated" and late.settings(0.5)["finetune_from"] is None
    assert late.settings(0.6) == late.settings()
    for option, value in (("refit_from", None), ("compensation", 0.7), ("corrections", 0), ("finetune_from", 0.1)):
        assert method_of("l-rank", {option: value}).settings(0.2) != METHODS["l-rank"].settings(0.2)


@pytest.mark.parametrize(
    ("label", "ratio", "reads"),
    [("dense", 0, False), ("svd", 0.2, False), ("fwsvd", 0.2, True), ("svd-llm", 0.2, True), ("full-rank", 0, True), ("zs-svd", 0.2, True)],
)
def test_who_reads_the_calibration_text(label, ratio, reads):
    assert METHODS[label].at(ratio).reads_calibration is reads


def test_what_follows_may_be_what_reads_the_calibration_text():
    refitted = method_of("refitted", {"base": "svd", "refit_from": 0.3})
    assert [refitted.at(ratio).reads_calibration for ratio in (0.2, 0.3)] == [False, True]
    assert method_of("corrected", {"base": "svd", "corrections": 1}).at(0.2).reads_calibration


def test_finetuning_from_its_ratio_on():
    assert not any(method.finetunes(0.9) for method in METHODS.values()), "off in all entries"
    method = method_of("d-rank-lora", {"base": "d-rank", "finetune_from": 0.3})
    assert [method.finetunes(ratio) for ratio in (0.2, 0.3, 0.5)] == [False, True, True]


def test_moments_at_the_outputs_are_read_where_a_weighting_has_both_sides_of_a_pass():
    read = {(name, labels) for name, method in METHODS.items() for labels in PASSES if method.reads_outputs(labels)}
    assert read == {("l-rank", "sampled"), ("l-rank-scalar", "sampled"), ("io-svd", "likeliest")}
    own = method_of("mine", {"base": "l-rank", "labels": "text"})
    assert outputs_read([METHODS["zs-svd"], own], "text") and not outputs_read([METHODS["zs-svd"], METHODS["fwsvd"]], "text")
    assert not outputs_read([METHODS["zs-svd"], own], "text", "+draw=42"), "it reads another text"
