"""The table of speed: how fast one model reads and writes by ratio and method, what it stores, and how far that can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pandas as pd

from drank.reporting.material import Material
from drank.reporting.names import listed, number
from drank.reporting.neighbours import neighbours, where
from drank.reporting.noise import Control, control_of
from drank.reporting.tables.build import Quantity, build
from drank.reporting.tables.layout import Cell, Column, Table
from drank.reporting.tables.numbers import SIZE, Numbers, Value
from drank.reporting.tables.quantities import RATIO_NOTE, scaled

TIMES = (
    "medians over the rounds of tokens per second, of the time to the first token of a batch, of that of a step, which decodes one token "
    "for each prompt, with its 90th percentile, {speedup}and of the share of the roofline: the time that the machine takes at the best "
    "rates measured in the same rounds to read the weights and the cache, or to multiply by the weights, over the time taken; above "
    "100\u202f% where a processor's cache has them."
)
SIZES = (
    "Memory: weights and buffers as loaded, keys and values after decoding, and the most that weights, activations and cache took at once. "
    "Stored: parameters and bytes of the whole model (shared bases once), and the share of the compressed projections that the saved "
    "tensors lack."
)
"""What the caption says of the columns."""

INTERVAL_OF_SOME = ", where there is one"
"""Said where rounds were too few for some intervals, or not in turn."""


class Turns(NamedTuple):
    """Whether the models of `ever` any job were timed in turn, round by round, and those of all `always`."""

    ever: bool
    always: bool

    @classmethod
    def of(cls, numbers: pd.DataFrame) -> Turns:
        """What the numbers say of it; older ones say nothing, and were taken in turn."""
        said = numbers.loc[numbers["metric"] == "in_turn", "value"] > 0
        return cls(bool(said.any() or said.empty), bool(said.all()))


def throughput(material: Material) -> Table:
    """Speed, stored size and own memory of one model by ratio and method; bold is only what the noise of the timings cannot explain."""
    numbers = Numbers(material.summary, material.models[0], material.published)
    phases = numbers.datasets("tokens_per_second")
    controls = {phase: found for phase in phases if (found := control_of(material.numbers, numbers.model, phase)) is not None}
    quantities = [quantity for phase in phases for quantity in _of_phase(phase, controls.get(phase))]
    if quantities:
        columns = {"model_bytes": "weights", "cache_bytes": "cache", "peak_tensor_bytes": "peak"}
        quantities += [
            Quantity("memory", name, Column(f"{label} (MiB)", "Memory", "low"), scaled(2**-20, 1)) for name, label in columns.items()
        ]
        quantities += [
            Quantity(SIZE, "parameters", Column("parameters (10⁶)", "Stored"), scaled(1e-6, 2)),
            Quantity(SIZE, "bytes", Column("MB", "Stored"), scaled(1e-6, 2)),
            Quantity(SIZE, "ratio_stored", Column("removed (%)", "Stored"), scaled(100, 2)),
        ]
    told = neighbours(material.numbers, numbers.model)
    place = where(material.numbers)
    turns = Turns.of(material.numbers)
    times = TIMES.format(speedup=_speedup(material.numbers, turns))
    caption = (
        f"Throughput and size of {numbers.model}{place}: {times} {_noise(controls, turns)} {told}{' ' * bool(told)}{SIZES} {RATIO_NOTE}"
    )
    caption += " What memory vLLM itself takes was not measured." if place else ""
    caption += " Bytes are those in the precision of the run, of a quantised checkpoint those of its files." if numbers.theirs else ""
    return build(material.name, caption, numbers, quantities)


def _speedup(numbers: pd.DataFrame, turns: Turns) -> str:
    """What the speed over dense is; nothing where none was measured."""
    rows = numbers[numbers["metric"] == "speedup_over_dense"]
    told = rows["ci_low"].notna()
    same = " in the same round" * turns.ever + " where models took turns" * (turns.ever and not turns.always)
    interval = f" (below it the 95\u202f% interval{INTERVAL_OF_SOME * (not told.all())})" if told.any() else ""
    return f"of the speed over that of the dense model{same}{interval}, " if len(rows) else ""


def _of_phase(phase: str, control: Control | None) -> Iterator[Quantity]:
    """The columns of one phase: tokens a second, times, the speed over dense, and the share of what the machine could do."""
    group = phase.capitalize().replace("-", ", ")
    yield Quantity(phase, "tokens_per_second", Column("tokens (1/s)", group, "high"), lambda value: Cell(number(value.value, 0)))
    yield Quantity(phase, "time_to_first_token", Column("first (ms)", group, "low"), scaled(1000, 1))
    yield Quantity(phase, "time_per_token", Column("token (ms)", group, "low"), scaled(1000, 2))
    yield Quantity(phase, "time_per_token_p90", Column("p90 (ms)", group, "low"), scaled(1000, 2))
    gain, bold = Column("× dense", group, "high"), "clear" if control else ""
    yield Quantity(phase, "speedup_over_dense", gain, _gain, bold, control.floor if control else math.inf)
    yield Quantity(phase, "roofline_share", Column("roofline (%)", group, "high"), scaled(100, 0))


def _gain(value: Value) -> Cell:
    """A speed over dense, with its interval in small type below."""
    return Cell(number(value.value, 2), "" if math.isnan(value.low) else f"[{number(value.low, 2)}, {number(value.high, 2)}]", stacked=True)


def _noise(controls: Mapping[str, Control], turns: Turns) -> str:
    """What timings of one computation differ by, what is bold because of it, and whether they come out equal, as they must."""
    if not controls:
        return "What two timings of one computation differ by was not measured, so that nothing is bold."
    floors = {phase: f"{math.ceil(1000 * control.floor) / 1000:.3f}\u202f×" for phase, control in controls.items()}
    said = " and ".join(f"{floor} in {phase}" for phase, floor in floors.items())
    told = f"Two timings of models of one shape differ by up to {said}: bold is what exceeds every other of its ratio by more."
    failed = [phase for phase, control in controls.items() if control.holds is False]
    if failed:
        apart = listed([f"{floors[phase]} in {phase}" for phase in failed])
        return f"{told} They do not come out equal within their interval: this machine cannot tell models apart closer than {apart}."
    if all(control.holds for control in controls.values()):
        return f"{told} They come out equal within the 95\u202f% interval of their paired ratios, as they must."
    why = "The rounds are too few" if turns.always else "Too few rounds were in turn"
    return f"{told} {why} to say whether that is within an interval."
