"""Time and memory beside the quality that they buy."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from drank.reporting.manuscript.quotes import printed, quotes
from drank.reporting.tables.cost import cost
from tests.unit.artefacts_fixture import DENSE, grid, material_of, texts

RUNS = [*DENSE, *grid("random-ranks"), *grid("svd-llm"), *grid("d-rank", group=[1, 2])]
DOCS = {"on": ["python-docs"]}


def perplexity(material, label, ratio):
    rows = material.numbers
    rows = rows[(rows["label"] == label) & (rows["ratio"] == ratio) & (rows["dataset"] == "python-docs") & (rows["metric"] == "perplexity")]
    return rows["value"].item()


def test_quality_is_in_nats_from_dense_and_from_svd_llm():
    material = material_of(RUNS, DOCS)
    table = cost(material)
    assert [row[:2] for row in texts(table)] == [
        *(["20\u202f%", "SVD-LLM"], ["", "D-Rank (n = 1)"], ["", "D-Rank (n = 2)"]),
        *(["40\u202f%", "SVD-LLM"], ["", "D-Rank (n = 1)"], ["", "D-Rank (n = 2)"]),
    ]
    for row in table.frame.to_dict("records"):
        own, dense, base = (
            perplexity(material, *place) for place in ((row["label"], row["ratio"]), ("dense", 0.0), ("svd-llm", row["ratio"]))
        )
        assert row["nats over dense python-docs"] == pytest.approx(math.log(own / dense))
        assert row["nats gained python-docs"] == pytest.approx(math.log(base / own), abs=1e-15)
    assert texts(table)[1][4:] == [f"+{table.frame.iloc[1, 5]:.3f}", f"+{table.frame.iloc[1, 6]:.3f}"]


def test_the_last_step_is_told_by_the_numbers_and_the_records():
    material = material_of(RUNS, DOCS)

    def with_peak(record):
        making = {**(record.provenance["making"] or {}), "peak_memory_bytes": 2**30 if record.method == "svd-llm" else 2**29}
        return replace(record, provenance={**record.provenance, "making": making})

    table = cost(replace(material, records=[with_peak(record) for record in material.records]))
    assert [row[2:4] for row in texts(table)[:2]] == [["7.5", "1024"], ["7.5", "512"]]
    assert table.caption.startswith("Time and peak memory of the last step, which makes a model, beside nats per token over dense and nats")
    assert texts(cost(material))[0][3] == "–"


def test_all_steps_on_the_way_are_told_by_the_options():
    material = material_of([*DENSE, *grid("svd-llm")], {})
    seconds = {"docs-mha/svd-llm/0.2": 100.0, "docs-mha/svd-llm/0.4": 90.0}
    table = cost(replace(material, options={**DOCS, "seconds": seconds, "memory": dict.fromkeys(seconds, 2**21)}))
    assert [row[2:4] for row in texts(table)] == [["100.0", "2"], ["90.0", "2"]]
    assert table.caption.startswith("Time and peak memory of all steps on the way to a model, beside")
    timed = cost(replace(material, options={**DOCS, "seconds": seconds}))
    assert timed.caption.startswith(
        "Time of all steps on the way to a model, and peak memory of the last step, which makes a model, beside"
    )
    with pytest.raises(ValueError, match=r"option seconds lacks docs-mha/svd-llm/0.4; it has docs-mha/svd-llm/0.2\. State every run"):
        cost(replace(material, options={"seconds": {"docs-mha/svd-llm/0.2": 100.0}}))


def test_what_was_not_measured_is_a_dash_and_models_are_named_where_several():
    runs = [*grid("svd-llm", (0.2,)), *grid("d-rank", (0.2, 0.4))]
    table = cost(material_of(runs, DOCS, ("docs-mha", "docs-gqa")))
    rows = texts(table)
    assert [row[:3] for row in rows[:3]] == [["docs-mha", "20\u202f%", "SVD-LLM"], ["", "", "D-Rank"], ["docs-mha", "40\u202f%", "D-Rank"]]
    assert [row[4] for row in rows] == ["–"] * 6 and rows[2][5] == "–", "no memory, and no SVD-LLM at 40 %"


def test_what_no_row_has_is_no_column():
    """Nats over dense without the dense model, nats gained without SVD-LLM."""
    table = cost(material_of([*grid("svd-llm"), *grid("d-rank")], DOCS))
    assert [column.group for column in table.columns[4:]] == ["Nats gained over SVD-LLM"]
    assert table.caption.endswith("which makes a model, beside nats gained over SVD-LLM at the same ratio.")
    alone = cost(material_of(grid("d-rank", (0.2,)), DOCS))
    assert texts(alone) == [["20\u202f%", "D-Rank", "7.5", "–"]]
    assert alone.caption == "Time and peak memory of the last step, which makes a model."


def test_what_is_gained_is_over_the_svd_llm_that_read_the_same_text():
    """Of a further draw over SVD-LLM on that draw, of a method that has a calibration of its own over none."""
    runs = [
        *DENSE,
        *grid("svd-llm", (0.2,)),
        *grid("mine", (0.2,)),
        *grid("svd-llm", (0.2,), draw=[42]),
        *grid("d-rank", (0.2,), draw=[42]),
    ]
    alike, apart = material_of(runs, DOCS), material_of(runs, DOCS, calibrated={"mine": {"corpus": "c4"}})
    own, base = (perplexity(alike, f"{label}+draw=42", 0.2) for label in ("d-rank", "svd-llm"))
    for material in (alike, apart):
        gained = cost(material).frame.set_index("label")["nats gained python-docs"]
        assert gained["d-rank+draw=42"] == pytest.approx(math.log(base / own)) and not gained[["svd-llm", "svd-llm+draw=42"]].any()
        assert math.isnan(gained["mine"]) == (material is apart)
        known = {key.split("/")[2]: value for key, value in quotes({"t": material}).items() if key.endswith("python-docs/over-svd-llm")}
        assert known["d-rank+draw=42"] == printed("over-svd-llm", own / base - 1)
        assert known.keys() == {"d-rank+draw=42", *(["mine"] if material is alike else [])}


def test_of_several_draws_the_mean_is_told_on_both_sides():
    material = material_of(RUNS, DOCS)
    drawn = (material.numbers["label"] == "svd-llm") & (material.numbers["metric"] == "perplexity")
    more = {"draws": 3.0, "draw_mean": 1.1 * material.numbers["value"], "spread": 0.1}
    numbers = material.numbers.assign(**{name: material.numbers[name].astype("float64").mask(drawn, to) for name, to in more.items()})
    one, several = (cost(made).frame.set_index(["label", "ratio"]) for made in (material, replace(material, numbers=numbers)))
    over, gained = (several[name] - one[name] for name in ("nats over dense python-docs", "nats gained python-docs"))
    for label, ratio in over.index:
        is_base = label == "svd-llm"
        assert over[label, ratio] == pytest.approx(math.log(1.1) if is_base else 0, abs=1e-12)
        assert gained[label, ratio] == pytest.approx(0 if is_base else math.log(1.1), abs=1e-12)
    nats = "Of several draws of the calibration text time and memory are those of the first, nats of the mean perplexity."
    assert cost(replace(material, numbers=numbers)).caption.endswith(nats) and "draws" not in cost(material).caption


def test_memory_is_said_to_be_the_hosts_where_a_gpu_ran_the_models():
    material = material_of(RUNS, DOCS)
    words = "Memory is that of the host, not of the GPU."
    made = replace(material, numbers=material.numbers.assign(device="cuda (NVIDIA H200)"))
    assert words in cost(made).caption and words not in cost(material).caption
    stated = {f"docs-mha/{label}/{ratio:g}": 1.0 for label, ratio in zip(material.numbers["label"], material.numbers["ratio"], strict=True)}
    assert words not in cost(replace(made, options={**DOCS, "memory": stated})).caption, "whose memory that is only its writer knows"
