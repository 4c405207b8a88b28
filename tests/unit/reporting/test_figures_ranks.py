"""Ranks by layer: what is stored dense is marked, and break-even stands only where factors can hold more than the matrices."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from drank.allocation.plan import Plan
from drank.models.groups import Group, Shape
from drank.reporting.figures.rank_steps import by_layers, factored
from tests.unit.records_fixture import make_plan
from tests.unit.reporting.materials import WIDTHS, assert_readable, caption_of, figure_of, legend, panels


def stored(plan, roles=(), storage="factors", first=0):
    """The plan in another storage, with the groups of these roles dense from a layer on."""
    groups = [replace(group, shape=replace(group.shape, storage=storage)) for group in plan.groups]
    dense = [group.shape.role in roles and group.shape.layers[0] >= first for group in groups]
    groups = [replace(group, dense=True, rank=group.shape.max_rank) if d else group for group, d in zip(groups, dense, strict=True)]
    return replace(plan, groups=tuple(groups))


def panel(plans, title):
    return next(axes for axes in panels(figure_of("ranks", plans=plans)) if axes.get_title() == title)


def squares(axes):
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]), to_rgb(line.get_markerfacecolor()))
        for line in axes.get_lines()
        if line.get_marker() == "s"
    ]


def break_even(axes):
    return [patch.get_data().values for patch in axes.patches if patch.get_linestyle() in ("-.", "dashdot")]


@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_stored_dense_is_marked_and_told(width):
    plans = [stored(make_plan("m", "d-rank", 0.2), "vk", first=4)]
    assert legend(figure_of("ranks", width=width, plans=plans))[-2:] == ["break-even", "stored dense"]
    assert "Squares: stored dense" in caption_of("ranks", plans=plans)
    assert [(x, y) for x, y, _ in squares(panel(plans, "V"))] == [(4.5, 192.0), (6.5, 192.0)]
    assert squares(panel(plans, "Q")) == []
    assert_readable(figure_of("ranks", width=width, plans=plans))


def test_no_line_calls_dense_matrices_larger_than_themselves():
    """Break-even is of factors: where no plan has any there, nothing lies above it."""
    plan = stored(make_plan("m", "d-rank", 0.2), "vk", first=4)
    (line,) = break_even(panel([plan], "V"))
    assert np.isnan(line).tolist() == [False, False, True, True]
    assert line[0] == pytest.approx(192 * 384 / (192 + 384))
    (line,) = break_even(panel([plan, make_plan("m", "d-rank", 0.4)], "V"))
    assert not np.isnan(line).any(), "the other plan has factors there"


def test_without_dense_storage_nothing_is_said_of_it():
    plans = [make_plan("m", "d-rank", 0.2)]
    assert "stored dense" not in legend(figure_of("ranks", plans=plans))
    assert "dense" not in caption_of("ranks", plans=plans)


def test_pivoted_factors_have_no_break_even_and_a_uniform_rank_of_their_own():
    pivoted = stored(make_plan("m", "d-rank", 0.4), storage="pivoted")
    figure = figure_of("ranks", plans=[pivoted])
    assert "break-even" not in legend(figure) and not any(break_even(axes) for axes in panels(figure))
    assert "Pivoted factors (D-Rank) hold no more" in caption_of("ranks", plans=[pivoted])
    (share,) = {
        float(value) for patch in panel([pivoted], "O").patches if patch.get_linestyle() == ":" for value in patch.get_data().values
    }
    assert share * (192 + 192 + 1 - share) == pytest.approx(0.6 * 192 * 192), "so many numbers buy this rank"
    both = [make_plan("m", "d-rank", 0.4), replace(pivoted, method="other")]
    assert len(break_even(panel(both, "O"))) == 1 and "of each storage" in caption_of("ranks", plans=both)


def test_experts_of_which_some_are_dense_have_a_hollow_mark():
    def plan(*dense):
        groups = [Group(Shape(f"gate.{expert}", (0,), 8, 8), 1.0, 8 if one else 2, one) for expert, one in enumerate(dense)]
        return Plan("m", "d-rank", 0.5, {}, tuple(groups))

    assert [(step.rank, step.dense) for step in by_layers(plan(True, False), "gate")] == [(5.0, 0.5)]
    assert legend(figure_of("ranks", plans=[plan(True, False)]))[-1] == "some experts dense"
    assert squares(panel([plan(True, False)], "gate")) == [(0.0, 5.0, (1.0, 1.0, 1.0))]
    assert factored([plan(True, True)], "gate") == []
    assert legend(figure_of("ranks", plans=[plan(True, True)]))[-1] == "stored dense"


def test_groups_of_one_layer_and_of_two_have_break_even_and_uniform_ranks_of_their_own():
    plans = [make_plan("m", "d-rank", 0.4), replace(make_plan("m", "d-rank", 0.4, group=1), method="io-svd")]
    pair, single = 192 * 384 / (192 + 384), 96
    assert [sorted(set(line.round(6))) for line in break_even(panel(plans, "Q"))] == [[pair], [single]]
    dotted = [patch.get_data().values for patch in panel(plans, "Q").patches if patch.get_linestyle() == ":"]
    assert [line.tolist() for line in dotted] == [pytest.approx([0.6 * pair] * 4), pytest.approx([0.6 * single] * 8)]
    assert len(break_even(panel(plans, "O"))) == 1, "both have single layers there"
    caption = caption_of("ranks", plans=plans)
    assert "Dotted: the uniform rank of the same ratio, of each number of layers in a group." in caption
    assert "Dash-dotted: break-even, of each number of layers in a group, above" in caption
    assert "number of layers" not in caption_of("ranks", plans=plans[:1])
