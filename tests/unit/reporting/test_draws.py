"""Numbers over several draws of the calibration text: their mean and spread stand in the row of the first, and in tables."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean, stdev

import pytest

from drank.reporting.artefact import of_configured_draws, summary_of
from drank.reporting.layouts import LAYOUTS
from drank.reporting.manuscript.quotes import quotes
from drank.reporting.material import Material, numbers_of
from drank.reporting.records import Record
from drank.reporting.summary import read_csv, summarise, write_csv
from drank.reporting.tables.pivot import pivot
from tests.unit.artefacts_fixture import material_of, texts
from tests.unit.records_fixture import perplexity_record
from tests.unit.reporting.tables_of import main_table

SEEDS = {"svd-llm": 0.9, "svd-llm+draw=14": 1.0, "svd-llm+draw=15": 1.3}


def drawn(ratio: float = 0.2) -> list[Record]:
    """One method on three draws, which do it other damage."""
    records = [perplexity_record("docs-mha", "svd-llm", ratio, damage=damage) for damage in SEEDS.values()]
    return [replace(record, method=method) for record, method in zip(records, SEEDS, strict=True)]


def test_mean_and_spread_stand_in_the_row_of_the_first(tmp_path) -> None:
    summary = summarise([*drawn(), perplexity_record("docs-mha", "dense", 0.0)])
    rows = summary[(summary["metric"] == "perplexity") & (summary["dataset"] == "python-docs")].set_index("method")
    values = [rows["value"][method] for method in SEEDS]
    assert rows["draws"]["svd-llm"] == 3 and rows["value"]["svd-llm"] == values[0]
    assert rows["draw_mean"]["svd-llm"] == pytest.approx(fmean(values)) and rows["spread"]["svd-llm"] == pytest.approx(stdev(values))
    assert rows.drop(index="svd-llm")[["draws", "draw_mean", "spread"]].isna().all(axis=None)
    write_csv(summary, tmp_path / "summary.csv")
    assert read_csv(tmp_path / "summary.csv").equals(summary)


def test_of_a_whole_run_the_draws_count_that_its_artefacts_are_told() -> None:
    """Those that one artefact asks for, to tell them apart, are in the summary and no part of what the report says of the run."""
    summary = summarise([*drawn(), perplexity_record("docs-mha", "dense", 0.0)])
    told = [{"draws": [("docs-mha", "svd-llm+draw=14", 0.2)]}, {"draws": []}]
    rows = of_configured_draws(summary, told)
    rows = rows[(rows["metric"] == "perplexity") & (rows["dataset"] == "python-docs")].set_index("method")
    assert rows["draws"]["svd-llm"] == 2 and rows["draw_mean"]["svd-llm"] == pytest.approx(fmean(rows["value"][list(SEEDS)[:2]]))
    assert of_configured_draws(summary, [{"draws": []}])[["draws", "draw_mean", "spread"]].isna().all(axis=None)


def test_a_table_prints_mean_and_spread_where_there_are_several_draws() -> None:
    rival = perplexity_record("docs-mha", "d-rank", 0.2, damage=1.0)
    summary = summarise([*drawn(), rival, perplexity_record("docs-mha", "dense", 0.0)])
    shown = summary[~summary["method"].str.contains("+", regex=False)]
    table = main_table(shown, "docs-mha")
    rows = {row[1].text: row[2] for block in table.blocks for row in block}
    values = [one.results[0].value for one in drawn()]
    assert (rows["SVD-LLM"].text, rows["SVD-LLM"].small) == (f"{fmean(values):.2f}", f"±{stdev(values):.2f}")
    assert rows["D-Rank"].text == f"{rival.results[0].value:.2f}" and not rows["D-Rank"].small and not rows["Dense"].small
    assert "ver draws of the calibration text their mean ± standard deviation" in table.caption
    frame = table.frame.set_index("method")
    assert frame["perplexity python-docs spread"]["svd-llm"] == pytest.approx(stdev(values))
    alone = main_table(summarise([rival, perplexity_record("docs-mha", "dense", 0.0)]), "docs-mha")
    assert "draws" not in alone.caption and "spread" not in " ".join(alone.frame.columns)


@pytest.mark.parametrize(("damage", "told"), [(0.95, []), (2.0, ["SVD-LLM"])])
def test_bold_is_the_best_of_what_is_printed_or_nothing(damage, told) -> None:
    """With .95 the first draw of one is better than the other, whose mean is: neither can be called the best."""
    rival = perplexity_record("docs-mha", "d-rank", 0.2, damage=damage)
    summary = summarise([*drawn(), rival])
    table = main_table(summary[~summary["method"].str.contains("+", regex=False)], "docs-mha")
    bold = [row[1].text for block in table.blocks for row in block if row[2].bold]
    assert rival.results[0].value > drawn()[0].results[0].value and bold == told


@pytest.mark.parametrize(("damage", "told"), [(0.95, []), (2.0, ["SVD-LLM"])])
def test_a_dagger_stands_at_the_best_of_what_is_printed_or_nowhere(damage, told) -> None:
    """At .4 the rival is refitted, so that kinds differ."""
    summary = summarise([*drawn(0.4), perplexity_record("docs-mha", "d-rank", 0.4, damage=damage)])
    table = main_table(summary[~summary["method"].str.contains("+", regex=False)], "docs-mha")
    assert [row[1].text for block in table.blocks for row in block if "†" in row[2].text] == told


def test_draws_of_an_artefacts_runs_count_for_its_spread_and_do_not_compete() -> None:
    rows = [{"model": "docs-mha", "method": method, "label": method, "ratio": 0.2} for method in ("svd-llm", "d-rank")]
    draws = [("docs-mha", f"svd-llm+draw={seed}", 0.2) for seed in (14, 15)]
    told = {"rows": rows, "draws": draws, "notes": {"docs-mha": ""}, "shown": ["python-docs"]}
    records = [*drawn(), perplexity_record("docs-mha", "d-rank", 0.2, damage=2.0)]
    found = summary_of(told, [*records, perplexity_record("docs-mha", "svd", 0.2)])
    best = found[(found["metric"] == "log_perplexity_minus_best") & (found["dataset"] == "python-docs")]
    assert dict(zip(best["method"], best["place"], strict=True)) == {"svd-llm": 1, "d-rank": 2}
    assert found.loc[found["draws"].notna(), "method"].unique().tolist() == ["svd-llm"] and found["draws"].max() == 3
    alone = summary_of(told | {"draws": []}, records)
    assert set(alone["method"]) == {"svd-llm", "d-rank"} and alone["draws"].isna().all()
    rows.append({"model": "docs-mha", "method": "svd-llm", "label": "svd-llm+draw=14", "ratio": 0.2})
    apart = summary_of(told | {"draws": []}, records)
    assert apart.loc[apart["metric"] == "log_perplexity_minus_best", "method"].nunique() == 3


def test_a_pivot_prints_them_and_says_so() -> None:
    material = material_of(
        [("svd-llm", {}, 0.2)], {"rows": ["method"], "columns": ["ratio"], "metric": "perplexity", "on": ["python-docs"]}
    )
    table = pivot(replace(material, numbers=material.numbers.assign(draw_mean=12.345, spread=0.678, draws=3)))
    assert texts(table)[0][-1] == "12.35 ±0.678"
    assert "Over draws of the calibration text the mean ± standard deviation" in table.caption
    assert ", tested on the first." in table.caption
    assert table.frame["count"].tolist() == [3] and "ci_low" not in table.frame


def test_what_tells_draws_apart_shows_each_draw_and_no_mean_over_them() -> None:
    """In a table of one's own form, in one of all, in macros and in figures."""
    summary = summarise([*drawn(), perplexity_record("docs-mha", "dense", 0.0)])
    runs = [("svd-llm", label, float(label.partition("=")[2] or 13)) for label in SEEDS]
    points = [{"model": "docs-mha", "method": method, "label": label, "ratio": 0.2, "draw": seed} for method, label, seed in runs]
    numbers = numbers_of(summary, points)
    material = Material(
        "t", numbers, ("draw",), options={"rows": ["draw"], "columns": ["ratio"], "metric": "perplexity", "on": ["python-docs"]}
    )
    own = [f"{one.results[0].value:.2f}" for one in drawn()]
    assert [row[-1] for row in texts(pivot(material))] == own
    known = quotes({"t": material})
    assert [known[f"t/docs-mha/{label}/0.2/python-docs/perplexity"] for label in SEEDS] == own
    assert [row[2].text for block in main_table(material.summary, "docs-mha").blocks for row in block] == own
    assert "several draws" not in LAYOUTS["perplexity_by_ratio"].load()(material, "page").caption
