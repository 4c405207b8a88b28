"""Families are data: what is asked about them, and what an unknown one is told."""

import re

import pytest

from drank.families import FAMILIES, UnknownFamilyError, family_of, module_path


def test_an_unknown_family_is_told_near_names_and_the_remedy():
    with pytest.raises(
        UnknownFamilyError, match=r"'lamma' is not a family drank knows \(near: llama.*give drank\.families\.FAMILIES an entry"
    ):
        family_of("lamma")


def test_a_family_like_no_other_is_told_all_that_are_known():
    with pytest.raises(UnknownFamilyError) as caught:
        family_of("zzz")
    assert "near" not in str(caught.value)
    assert all(name in str(caught.value) for name in FAMILIES)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", FAMILIES)
def test_roles_and_paths_are_unique_within_a_block(name):
    projections = family_of(name).projections
    assert len({projection.role for projection in projections}) == len({projection.path for projection in projections}) == len(projections)


@pytest.mark.parametrize("name", FAMILIES)
def test_output_projections_stay_alone(name):
    """D-Rank and Basis Sharing group what reads the residual stream, never O and down."""
    family = family_of(name)
    assert not family.grouped & {"o", "down"}
    assert {"q", "k", "v"} <= family.grouped & set(family.roles)
    reads = {projection.role: projection.reads for projection in family.projections}
    assert reads["q"] == reads["k"] == reads["v"] != reads["o"]


def test_module_path():
    assert module_path("llama", 3, "q") == "model.layers.3.self_attn.q_proj"
    assert module_path("opt", 0, "down") == "model.decoder.layers.0.fc2"
    with pytest.raises(StopIteration):
        module_path("opt", 0, "gate")
    assert re.fullmatch(r"[\w.]+", module_path("qwen3", 11, "gate"))
