"""Maps of the budget, which runs with more methods than one panel can show get for lines of ranks."""

import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import QuadMesh

from drank.allocation.plan import Plan
from drank.models.groups import Group, Shape
from drank.reporting.figures import budget
from drank.reporting.figures.style import MANY
from tests.unit.records_fixture import make_plan
from tests.unit.reporting.materials import WIDTHS, assert_readable, caption_of, figure_of, panels

KINDS = ["q", "k", "v", "o", "gate", "up", "down"]
NINE = tuple(f"variant-{index}" for index in range(MANY + 1))


def plans_of(models=("one",), methods=NINE, layers=28):
    """A budget for each method that rises and falls over the layers, with the values stored dense in every third."""
    found = []
    for place, (model, method) in enumerate((model, method) for model in models for method in methods):
        plan = make_plan(model, "d-rank", 0.4, layers, 1 + place % 2)
        bend = [1 + 0.9 * math.sin(place + group.shape.layers[0] / 4) for group in plan.groups]
        groups = [replace(group, rank=max(1, int(group.rank * b))) for group, b in zip(plan.groups, bend, strict=True)]
        groups = [replace(group, dense=place % 3 == 0 and group.shape.role == "v") for group in groups]
        found.append(replace(plan, method=method, groups=tuple(groups)))
    return found


def maps_of(figure):
    """The maps of a figure by title, a method's name."""
    return {axes.get_title(): axes for axes in panels(figure) if axes.get_title() in NINE}


def mesh_of(axes):
    return next(found for found in axes.collections if isinstance(found, QuadMesh))


def colour_at(axes, row, layer):
    mesh = mesh_of(axes)
    return mesh.cmap(mesh.norm(mesh.get_array()[row, layer]))[:3]


def expert_plan(dense=()):
    """Two layers, the first with one gate, the second with two experts; the q projections of both share a basis."""
    shapes = [
        Shape("q", (0, 1), 8, 8),
        Shape("gate", (0,), 8, 24),
        Shape("gate.0", (1,), 8, 8),
        Shape("gate.1", (1,), 8, 8),
        Shape("o", (1,), 8, 8),
    ]
    groups = [Group(shape, 1.0, rank, shape.role in dense) for shape, rank in zip(shapes, (2, 3, 1, 3, 0), strict=True)]
    return Plan("m", "a", 0.5, {}, tuple(groups))


def test_shares_are_relative_to_the_uniform_share():
    share, dense = budget.shares(expert_plan(dense=("gate.0",)), ["q", "gate", "o"])
    q, gate = 2 * (8 + 16) / (8 * 16), 3 * (8 + 24) / (8 * 24)
    experts = (64 + 3 * 16) / (2 * 64)  # the first is stored whole
    expected = np.array([[q, q], [gate, experts], [math.nan, 0]]) / 0.5
    np.testing.assert_allclose(share, expected)
    assert not dense.any()  # one expert of two is compressed
    assert budget.shares(expert_plan(dense=("gate.0", "gate.1", "q")), ["q", "gate", "o"])[1].tolist() == [
        [True, True],
        [False, True],
        [False, False],
    ]


def test_colours_tell_more_from_less():
    plans = [replace(expert_plan(), method=method) for method in NINE]
    figure = figure_of("ranks", plans=plans)
    axes = maps_of(figure)["variant-3"]
    mesh = mesh_of(axes)
    assert (mesh.norm.vmin, mesh.norm.vmax) == (-2, 2)
    assert mesh.get_array()[0, 0] == pytest.approx(math.log2(2 * 2 * 24 / 128))
    assert mesh.get_array().mask.tolist() == [[False, False], [False, False], [True, False]]
    red, _, blue = colour_at(axes, 1, 0)  # twice half of 96 of 192: just uniform
    assert abs(red - blue) < 0.02
    red, _, blue = colour_at(axes, 0, 1)
    assert blue > red + 0.1
    assert mesh.get_array()[2, 1] == -3  # a rank of zero lies beyond the scale
    assert_readable(figure)


def test_a_map_for_each_method_and_a_block_for_each_model():
    plans = plans_of(("one", "two"))
    figure = figure_of("ranks", plans=[*plans, *(replace(plan, ratio=0.2) for plan in plans), make_plan("one", "svd-llm", 0.4)])
    head, *parts = figure.subfigs
    assert [part.get_suptitle() for part in parts] == ["one", "two"]
    bar = head.axes[0]
    assert [label.get_text() for label in bar.get_xticklabels()] == ["×¼", "×½", "uniform share", "×2", "×4"]
    assert list(bar.get_xticks()) == [-2, -1, 0, 1, 2]
    assert bar.get_title() == "parameters kept (dot: stored dense), 40\u202f% removed overall"
    assert "A dot marks what is stored uncompressed." in caption_of("ranks", plans=plans)
    for part, ours in zip(parts, (plans[: len(NINE)], plans[len(NINE) :]), strict=True):
        found = [axes for axes in part.axes if axes.get_visible()]
        assert [axes.get_title() for axes in found] == list(NINE)
        for axes, plan in zip(found, ours, strict=True):
            share, dense = budget.shares(plan, KINDS)
            np.testing.assert_allclose(mesh_of(axes).get_array(), np.maximum(np.log2(share), -3))
            assert axes.get_xlim() == (-0.5, 27.5)
            assert axes.get_ylim() == (6.5, -0.5)
            marks = set(zip(*axes.get_lines()[0].get_data(), strict=True))
            assert marks == ({(layer, KINDS.index("v")) for layer in range(28)} if dense.any() else set())
        assert [label.get_text() for label in found[0].get_yticklabels()] == ["Q", "K", "V", "O", "gate", "up", "down"]
        assert not any(label.get_text() for label in found[1].get_yticklabels())


def test_the_design_changes_beyond_a_named_number_of_methods():
    assert len(figure_of("ranks", plans=plans_of(methods=NINE)).subfigs) == 2
    lines = figure_of("ranks", plans=plans_of(methods=NINE[1:]))
    assert [axes.get_title() for axes in panels(lines)] == ["Q", "K", "V", "O", "gate", "up", "down"]
    assert "red for more" in caption_of("ranks", plans=plans_of(methods=NINE)) and "a step spans" not in caption_of(
        "ranks", plans=plans_of()
    )
    assert "a step spans" in caption_of("ranks", plans=plans_of(methods=NINE[1:]))


def test_dots_experts_and_gaps_are_explained_where_they_are():
    plans = [replace(plan, groups=tuple(replace(group, dense=False) for group in plan.groups)) for plan in plans_of()]
    caption = caption_of("ranks", plans=plans)
    assert "dot" not in caption and "experts" not in caption and "Grey" not in caption
    caption = caption_of("ranks", plans=[replace(expert_plan(), method=method) for method in NINE])
    assert "experts of a layer are taken together" in caption and "Grey says" in caption


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("models", "layers"), [(("one",), 2), (("one",), 80), (("Llama-3.2-1B-Instruct", "Qwen3-0.6B"), 28)])
def test_many_maps_can_be_read(models, layers, width):
    names = (
        "d-rank-released",
        "asvd-search",
        "one-more-with-a-long-name",
        "with_underscores_in_its_name",
        *(f"a-variant-{index}-of-mine" for index in range(23)),
    )
    assert_readable(figure_of("ranks", plans=plans_of(models, names, layers), width=width))
