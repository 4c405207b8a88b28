"""Quality, bytes and speed of all that was measured, and who stands on the front."""

from dataclasses import replace

from drank.reporting.figures.frontier import front, points_of
from drank.reporting.figures.style import MANY
from drank.reporting.names import method_name
from tests.unit.reporting.materials import FIGURES, assert_readable, legend, marks, panels, values
from tests.unit.reporting.planted import HURT, frontier

LOTS = (*HURT, *(f"a-variant-{index}" for index in range(MANY)))


def test_the_frontier_holds_every_model_that_was_measured():
    material = frontier(("one", "two"))
    figure, caption = FIGURES["frontier"].draw(material, "page")
    assert [axes.get_title() for axes in panels(figure)] == ["one", "one", "two", "two"]
    points = points_of(material.of("one"))
    assert len(points) == 4 + 2 * len(HURT) and "full-rank" not in set(points["method"])
    for axes, name in zip(panels(figure), ("bytes", "speed"), strict=False):
        assert {(x, y) for x, y in marks(axes)} == {(x, round(y, 9)) for x, y in zip(points[name], points["value"], strict=True)}
        assert axes.get_xlim()[0] < points[name].min() <= points[name].max() < axes.get_xlim()[1]
    names = ["dense", "rounded-8", "rounded-4", "theirs", *HURT]
    assert legend(figure) == [*map(method_name, names), "Pareto front"]
    assert "one: Rounded to 8 bits stores 27\u202f% of the bytes and loses 0.000 nats per token" in caption
    assert "the least that a low-rank method loses is 0.060, L-Rank at 20\u202f%" in caption
    assert "On the front of bytes: Rounded to 8 bits and Rounded to 4 bits." in caption and "decode speed" in caption


def test_the_caption_is_made_of_sentences_without_comparators_too():
    material = frontier()
    alone = replace(material, numbers=material.numbers[~material.numbers["method"].isin(["rounded-8", "rounded-4", "theirs"])])
    assert " The least that a low-rank method loses" in FIGURES["frontier"].draw(alone, "page").caption


def test_the_front_is_of_those_that_none_beats():
    points = points_of(frontier())
    for name, sign in (("bytes", 1), ("speed", -1)):
        kept = set(front(points, name).index)
        for row in points.itertuples():
            beaten = any(
                other.value <= row.value
                and sign * getattr(other, name) <= sign * getattr(row, name)
                and (other.value, getattr(other, name)) != (row.value, getattr(row, name))
                for other in points.itertuples()
            )
            assert (row.Index in kept) == (not beaten)


def test_many_methods_are_grey_but_for_those_on_a_front():
    figure, caption = FIGURES["frontier"].draw(frontier(methods=LOTS), "column")
    assert legend(figure)[-2:] == ["other methods", "Pareto front"] and len(legend(figure)) < 9
    assert "only those on a front have a colour" in caption
    assert len(values(panels(figure)[0])) == 4 + 2 * len(LOTS)
    assert_readable(figure)


def test_without_speed_there_is_one_panel_and_a_corpus_can_be_chosen():
    material = frontier(timed=False)
    chosen = replace(material, numbers=material.numbers[material.numbers["dataset"] == "code"])
    figure, caption = FIGURES["frontier"].draw(chosen, "page")
    assert len(panels(figure)) == 1 and "speed" not in caption and "on code" in caption and "Rounded to 8 bits stores" in caption


def test_the_least_that_low_rank_loses_is_of_what_competes():
    material = frontier(timed=False)
    lucky = (material.numbers["label"] == "random-ranks") & (material.numbers["metric"] == "perplexity")
    numbers = material.numbers.assign(value=material.numbers["value"].mask(lucky, 0.9 * material.numbers["value"].min()))
    caption = FIGURES["frontier"].draw(replace(material, numbers=numbers), "page").caption
    assert "the least that a low-rank method loses is 0.060, L-Rank at 20\u202f%" in caption
