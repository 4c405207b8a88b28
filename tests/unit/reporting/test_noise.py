"""The throughput table: what is bold and what its caption says follow from the noise floor of the timings."""

import pandas as pd
import pytest

from drank.reporting.noise import Control, control_of, noise_floor
from drank.reporting.summary import summarise
from tests.unit.records_fixture import METHODS
from tests.unit.reporting.tables_of import throughput_table


@pytest.fixture(scope="module")
def summary(records):
    return summarise(records, METHODS)


def test_throughput_table_has_speed_size_and_the_memory_of_the_model(summary):
    table = throughput_table(summary, "docs-mha")
    expected = {"tokens_per_second decode", "speedup_over_dense prefill", "parameters size"}
    expected |= {"time_to_first_token prefill", "time_per_token decode", "time_per_token_p90 decode", "roofline_share prefill"}
    expected |= {"speedup_over_dense decode ci_low", "speedup_over_dense decode ci_high"}
    assert expected | {f"{name} memory" for name in ("model_bytes", "cache_bytes", "peak_tensor_bytes")} <= set(table.frame.columns)
    assert table.frame.loc[table.frame["method"] == "dense", "parameters size"].tolist() == [6_000_000]
    columns = [column.label for column in table.columns]
    dense = table.blocks[0][0]
    assert [dense[columns.index(f"{name} (MiB)")].text for name in ("weights", "cache", "peak")] == ["22.9", "5.7", "34.3"]


def test_a_speedup_stands_above_its_interval_and_times_are_in_milliseconds(summary):
    table = throughput_table(summary, "docs-mha")
    places = {(column.group, column.label): place for place, column in enumerate(table.columns)}
    row, numbers = table.blocks[1][0], table.frame[table.frame["ratio"] == 0.2].iloc[0]
    cell = row[places["Decode", "× dense"]]
    low, high = (f"{numbers[f'speedup_over_dense decode {end}']:.2f}" for end in ("ci_low", "ci_high"))
    assert cell.stacked and cell.small == f"[{low}, {high}]"
    assert row[places["Decode", "p90 (ms)"]].text == f"{1000 * numbers['time_per_token_p90 decode']:.2f}"
    assert row[places["Prefill", "first (ms)"]].text == f"{1000 * numbers['time_to_first_token prefill']:.1f}"
    assert row[places["Decode", "roofline (%)"]].text == f"{100 * numbers['roofline_share decode']:.0f}"


def test_a_variant_has_columns_of_its_own(summary):
    compiled = summary[summary["dataset"] == "decode"].assign(dataset="decode-compiled")
    table = throughput_table(pd.concat([summary, compiled], ignore_index=True), "docs-mha")
    assert [group for group, _ in table.groups] == ["", "Prefill", "Decode", "Decode, compiled", "Memory\u00a0↓", "Stored"]


def bold_speedups(summary, model="docs-mha"):
    """Method and phase of all speedups in bold."""
    table = throughput_table(summary, model)
    columns = [(place, column.group) for place, column in enumerate(table.columns) if column.label == "× dense"]
    return [(row[1].text, group) for block in table.blocks for row in block for place, group in columns if row[place].bold]


def with_speedups(summary, speeds, floor):
    """The summary with other speedups in prefill at 20 % and another noise floor there."""
    changed = summary.copy()
    here = (changed["ratio"] == 0.2) & (changed["metric"] == "speedup_over_dense") & (changed["dataset"] == "prefill")
    changed.loc[here, "value"] = changed.loc[here, "method"].map(speeds).fillna(1.0)
    changed.loc[(changed["metric"] == "noise_ratio") & (changed["dataset"] == "prefill"), "value"] = floor
    changed.loc[(changed["metric"] == "speedup_over_dense") & ~here, "value"] = 1.0
    return changed


def test_bold_is_only_what_the_noise_cannot_explain(summary):
    fast = {"svd": 1.21, "svd-llm": 1.1}
    assert bold_speedups(with_speedups(summary, fast, 1.05)) == [("SVD", "Prefill")]
    assert bold_speedups(with_speedups(summary, fast, 1.1)) == [], "1.21 exceeds 1.1 by no more than 1.1 times"
    assert bold_speedups(with_speedups(summary, {"svd": 1.21, "d-rank": 1.2}, 1.05)) == []
    unknown = with_speedups(summary, fast, 1.05)
    unknown = unknown[unknown["metric"] != "noise_ratio"]
    assert bold_speedups(unknown) == []
    assert "was not measured, so that nothing is bold" in throughput_table(unknown, "docs-mha").caption


def test_the_caption_states_the_noise_floor_of_each_phase(summary):
    caption = throughput_table(summary, "docs-mha").caption
    assert "differ by up to 1.040\u202f× in prefill and 1.060\u202f× in decode: bold is what" in caption
    assert "1.235\u202f× in prefill" in throughput_table(with_speedups(summary, {}, 1.2341), "docs-mha").caption


def test_the_noise_floor_is_the_largest_of_a_models_jobs(summary):
    assert noise_floor(summary, "docs-mha", "prefill") == 1.04
    later = summary[summary["ratio"] == 0.4]
    assert noise_floor(later, "docs-mha", "prefill") == pytest.approx(1.03)
    assert noise_floor(summary, "docs-mha", "reading") is None and noise_floor(summary, "other", "prefill") is None


def with_control(summary, low, high, phase="decode"):
    """The summary with other ends of the interval of the control in one phase at 20 %."""
    changed = summary.copy()
    here = (changed["metric"] == "noise_ratio") & (changed["dataset"] == phase) & (changed["ratio"] == 0.2)
    changed.loc[here, ["ci_low", "ci_high"]] = low, high
    return changed


def test_the_control_holds_where_twins_come_out_equal_within_the_interval(summary):
    assert control_of(summary, "docs-mha", "decode") == Control(1.06, True)
    assert (
        "come out equal within the 95\u202f% interval of their paired ratios, as they must" in throughput_table(summary, "docs-mha").caption
    )


def test_where_twins_do_not_come_out_equal_the_table_says_what_it_cannot_tell(summary):
    failed = with_control(summary, 1.02, 1.09)
    assert control_of(failed, "docs-mha", "decode") == Control(1.09, False)
    caption = throughput_table(failed, "docs-mha").caption
    assert "this machine cannot tell models apart closer than 1.090\u202f× in decode." in caption
    assert "1.040\u202f× in prefill and 1.090\u202f× in decode: bold" in caption and "as they must" not in caption


def test_too_few_rounds_say_neither(summary):
    unknown = with_control(summary, float("nan"), float("nan"))
    assert control_of(unknown, "docs-mha", "decode") == Control(1.06, None)
    assert "The rounds are too few to say" in throughput_table(unknown, "docs-mha").caption
