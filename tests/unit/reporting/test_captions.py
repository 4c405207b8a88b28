"""Captions say what is drawn."""

import math
import re

import pytest

from drank.runtime.grouping import AVERAGE
from tests.unit.records_fixture import make_spectrum
from tests.unit.reporting.materials import caption_of, data_of
from tests.unit.reporting.tables_of import main_table
from tests.unit.reporting.test_figures import PLAIN


@pytest.fixture(scope="module")
def data():
    return data_of()


@pytest.mark.parametrize("name", PLAIN)
def test_captions_are_sentences(data, name):
    caption = caption_of(name, **data)
    assert re.fullmatch(r"[A-Z].*\.", caption) and "  " not in caption and "docs-mha and docs-gqa" in caption


def test_an_average_that_is_not_shown_is_not_spoken_of(data):
    """An artefact of some of the tasks has no average over all of them, though accuracy was measured."""
    summary = data["summary"]
    some = summary[summary["dataset"] != AVERAGE]
    assert caption_of("accuracy", some) == "No average over all tasks is shown of these."
    assert "standard error of the average" in main_table(summary, "docs-mha").caption
    assert "average" not in main_table(some, "docs-mha").caption


def test_captions_say_what_is_drawn_and_not_what_could_be(data):
    caption = caption_of("perplexity", data["summary"])
    assert "Bars span 95" in caption and "dashed line" in caption and "logarithmic" in caption and "dot" not in caption
    assert caption.endswith("Left out, as it removes nothing: Full rank.")
    bare = data["summary"].query("method == 'd-rank'").assign(ci_low=math.nan, ci_high=math.nan)
    assert (
        caption_of("perplexity", bare)
        == "Perplexity of docs-mha and docs-gqa against the share of parameters removed from the compressed projections."
    )
    timed = data["summary"].query("metric != 'speedup_over_dense' or method != 'svd'")
    assert "not measured: SVD" in caption_of("throughput", timed)
    ranks = caption_of("ranks", **data)
    assert "by D-Rank, 20\u202f% and 40\u202f% of the parameters" in ranks and "in its colour" in ranks and "one rank: SVD-LLM" in ranks
    assert "map" not in ranks and "experts" not in ranks
    assert "shares a basis" in caption_of("effective_rank", spectra=data["spectra"])
    assert "shares a basis" not in caption_of("effective_rank", spectra=[make_spectrum("m", 1)])
    noted = caption_of("perplexity", data["summary"], notes={"docs-mha": "Not applicable: ASVD (odd).", "other": "No."})
    assert noted.endswith("Not applicable: ASVD (odd).")
