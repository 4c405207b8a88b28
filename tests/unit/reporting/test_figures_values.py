"""Figures show the numbers that they are of: each line its own, at its own place, with its own bars."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from drank.reporting.figures.style import ROLE_LOOKS, looks
from drank.runtime.grouping import AVERAGE
from tests.unit.records_fixture import make_plan
from tests.unit.reporting.materials import data_of, figure_of, panels

SHOWN = {"perplexity": ("perplexity", 1), "accuracy": ("accuracy", 100), "throughput": ("speedup_over_dense", 1)}


@pytest.fixture(scope="module")
def data():
    return data_of()


def test_lines_of_effective_rank_are_those_of_the_spectrum(data):
    for axes, one in zip(panels(figure_of("effective_rank", spectra=data["spectra"])), data["spectra"], strict=True):
        lines = {to_hex(line.get_color()): list(line.get_ydata()) for line in axes.get_lines()}
        roles = [role for role in ("q", "k", "v", "o", "gate", "up", "down") if any(group["role"] == role for group in one["groups"])]
        assert len(lines) == len(roles) == 7
        for role in roles:
            expected = [group["effective_rank"] for group in one["groups"] if group["role"] == role]
            assert lines[to_hex(ROLE_LOOKS[role].color)] == pytest.approx(expected)


def test_steps_are_the_ranks_of_the_plans():
    plans = [make_plan("m", "d-rank", ratio) for ratio in (0.2, 0.4)]
    axes = next(axes for axes in panels(figure_of("ranks", plans=plans)) if axes.get_title() == "V")
    solid = [patch.get_data().values.tolist() for patch in axes.patches if patch.get_linestyle() in ("-", "solid")]
    assert solid == [[float(group.rank) for group in plan.groups if group.shape.role == "v"] for plan in plans]


@pytest.mark.parametrize("name", SHOWN)
def test_every_line_is_its_methods_with_its_bars(data, name):
    metric, scale = SHOWN[name]
    rows = data["summary"].query(f"metric == '{metric}' and ratio > 0")
    rows = rows[rows["dataset"] == AVERAGE] if name == "accuracy" else rows
    style, seen = looks(list(rows["method"].unique())), 0
    for axes in panels(figure_of(name, data["summary"])):
        here = rows[rows["model"] == axes.get_title().split(" · ")[0]]
        here = here if name == "accuracy" else here[here["dataset"] == axes.get_title().split(" · ")[1]]
        lines = {to_hex(container.lines[0].get_color()): container for container in axes.containers}
        for method, own in here.groupby("method"):
            line, _, (bars,) = lines[to_hex(style[method].color)].lines
            own = own.sort_values("ratio")
            assert list(line.get_ydata()) == pytest.approx(list(scale * own["value"])), method
            assert np.abs(line.get_xdata() - 100 * own["ratio"]).max() < 10
            ends = np.array([segment[:, 1] for segment in bars.get_segments()])
            assert ends == pytest.approx(scale * own[["ci_low", "ci_high"]].to_numpy()), method
            seen += 1
    assert seen == rows.groupby(["model", "dataset", "method"]).ngroups > 5
