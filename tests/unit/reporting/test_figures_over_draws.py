"""Figures of runs with several draws of the calibration text show what tables print of them: the mean, and how far the draws lie apart."""

from dataclasses import replace

import pytest

from drank.reporting.figures.sheet import save
from drank.reporting.layouts import METRICS
from tests.unit.reporting.materials import FIGURES, data_of, material_of
from tests.unit.reporting.planted import after, along, frontier

SENTENCE = "Runs with several draws of the calibration text stand at the mean over them"
MADE = {
    **dict.fromkeys(("perplexity", "accuracy", "throughput", "bytes"), lambda: material_of(summary=data_of(("docs-mha",))["summary"])),
    "after": after,
    "along": along,
    "frontier": frontier,
}
WITHOUT_BARS = {"after", "frontier"}


def with_draws(material):
    """The same with three draws of every compressed model: the mean a tenth above the first, a spread of a fiftieth."""
    numbers = material.numbers
    several = numbers["ratio"] > 0
    more = {"draws": 3.0, "draw_mean": 1.1 * numbers["value"], "spread": 0.02 * numbers["value"]}
    return replace(
        material, numbers=numbers.assign(**{name: numbers[name].astype("float64").mask(several, to) for name, to in more.items()})
    )


def of_means(material):
    """The same where the mean is all there is, its interval the spread."""
    numbers = material.numbers
    several = (numbers["ratio"] > 0) & numbers["metric"].isin(METRICS)
    mean, spread = 1.1 * numbers["value"], 0.02 * numbers["value"]
    ends = {"value": mean, "ci_low": mean - spread, "ci_high": mean + spread}
    return replace(material, numbers=numbers.assign(**{name: numbers[name].mask(several, to) for name, to in ends.items()}))


@pytest.mark.parametrize("name", MADE)
def test_a_figure_of_several_draws_is_that_of_their_means_and_says_so(name, tmp_path):
    material = MADE[name]()
    found = []
    for made in (with_draws(material), of_means(material), material):
        drawn = FIGURES[name].draw(made, "column")
        save(drawn._replace(caption="the same"), tmp_path / "figure.pdf", tmp_path / "figure.png")
        found.append(((tmp_path / "figure.png").read_bytes(), drawn.caption))
    (several, told), (means, silent), (first, _) = found
    assert several == means != first
    bars = "" if name in WITHOUT_BARS else ", their bars span one standard deviation either way"
    assert told.replace(f"{SENTENCE}{bars}. ", "").replace(f" {SENTENCE}{bars}.", "") == silent != told
