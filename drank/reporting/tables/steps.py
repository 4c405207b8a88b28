"""What was decided by ranks, by storage, by recovery and by chance: a chain of runs as a table, and in words."""

from __future__ import annotations

import pandas as pd

from drank.reporting.material import Material
from drank.reporting.names import method_name, number, percent, unique
from drank.reporting.tables.artefact import table_of
from drank.reporting.tables.chains import Chain, Step, chains
from drank.reporting.tables.layout import Cell, Column, Table
from drank.reporting.tables.numbers import Value
from drank.reporting.tables.quantities import difference, interval, signed
from drank.statistics.intervals import Interval

NATS = difference(digits=3)
"""A difference in nats with its interval below."""


def steps(material: Material) -> Table:
    """The chains of a material: a block for each model and ratio, a row for each step, the whole and chance; columns for each data set.

    Bold: lower than the former run by an interval that excludes zero. Raises ValueError as `chains` does.
    """
    found = list(chains(material))
    datasets = unique(chain.dataset for chain in found)
    places = list(dict.fromkeys((chain.model, chain.ratio) for chain in found))
    drawn = any(chain.chance is not None for chain in found)
    several = [len({place[0] for place in places}) > 1, len({place[1] for place in places}) > 1]
    blocks = []
    for model, ratio in places:
        here = [chain for chain in found if (chain.model, chain.ratio) == (model, ratio)]
        rows = _rows(here, drawn=drawn)
        heads = [Cell(text) for text, shown in zip((model, percent(ratio)), several, strict=True) if shown]
        blocks.append([(*(heads if not index else [Cell("")] * len(heads)), *row) for index, row in enumerate(rows)])
    columns = [Column(text, align="l") for text, shown in zip(("Model", "Ratio"), several, strict=True) if shown]
    columns += [Column("Step", align="l"), Column("Method", align="l")]
    for dataset in datasets:
        columns += [Column("perplexity", dataset), Column("nats", dataset), Column("share", dataset)]
        columns += [Column("beyond draws", dataset)] if drawn else []
    return table_of(
        material, _caption(found, drawn=drawn), columns, blocks, pd.DataFrame([row for chain in found for row in _numbers(chain)])
    )


def words(material: Material) -> list[str]:
    """A sentence for each chain: what share of the difference between its ends each change is due to, and which may be chance."""
    return [_sentence(chain) for chain in chains(material)]


def _rows(here: list[Chain], *, drawn: bool) -> list[tuple[Cell, ...]]:
    """The rows of one block; its chains have the same runs and differ in the data set."""
    rows = []
    for index, step in enumerate(here[0].steps):
        cells = [cell for chain in here for cell in _step_cells(chain, chain.steps[index], drawn=drawn)]
        rows.append((Cell(step.change), Cell(method_name(step.run.label)), *cells))
    blank = [Cell("")] * drawn
    whole = [cell for chain in here for cell in (Cell(""), NATS(Value(*chain.whole)), Cell(_share(chain, chain.whole)), *blank)]
    rows.append((Cell("whole"), Cell(""), *whole))
    if drawn:
        chance = [cell for chain in here for cell in (Cell(""), _chance(chain), Cell(""), *blank)]
        rows.append((Cell("draws"), Cell("one draw or another"), *chance))
    return rows


def _step_cells(chain: Chain, step: Step, *, drawn: bool) -> list[Cell]:
    """Perplexity, difference, share, and whether the difference is larger than chance."""
    perplexity, nats = Cell(number(step.perplexity)), step.nats
    if nats is None:
        return [perplexity, *[Cell("")] * (2 + drawn)]
    shown = NATS(Value(*nats))
    beyond = Cell("" if chain.chance is None else "no" if chain.by_chance(nats) else "yes")
    return [perplexity, Cell(shown.text, shown.small, nats.high < 0, stacked=True), Cell(_share(chain, nats)), *[beyond] * drawn]


def _chance(chain: Chain) -> Cell:
    return Cell("" if chain.chance is None else f"±{number(chain.chance, 3)}")


def _share(chain: Chain, nats: Interval) -> str:
    """The share in percent, none where the whole difference may be nothing."""
    return f"{round(100 * chain.share(nats))}\u202f%".replace("-", "−") if chain.whole.excludes_zero else ""


def _caption(found: list[Chain], *, drawn: bool) -> str:
    """What the steps are, and how their numbers are to be read."""
    models, ratios = unique(chain.model for chain in found), list(dict.fromkeys(chain.ratio for chain in found))
    caption = "From method to method by one change each" + (f", {models[0]}" if len(models) == 1 else "")
    caption += f" at {percent(ratios[0])} removed" if len(ratios) == 1 else ""
    caption += ": perplexity, and difference to the run above in nats per token with its paired 95\u202f% interval over the same windows"
    caption += " (bold: lower by an interval that excludes zero), as a share of the whole difference."
    return caption + (" Draws: standard deviation of a run over calibration draws, which no interval here holds." if drawn else "")


def _numbers(chain: Chain) -> list[dict[str, object]]:
    """The numbers of a chain, a row for each step and the whole."""
    place = {"model": chain.model, "ratio": chain.ratio, "dataset": chain.dataset}
    rows: list[dict[str, object]] = []
    for step in chain.steps:
        share = None if step.nats is None else chain.share(step.nats)
        rows.append(
            place | {"step": step.change, "label": step.run.label, "perplexity": step.perplexity, **_ends(step.nats), "share": share}
        )
    return [row | {"chance": chain.chance} for row in [*rows, place | {"step": "whole", **_ends(chain.whole), "share": 1.0}]]


def _ends(nats: Interval | None) -> dict[str, float]:
    return {} if nats is None else {"nats": nats.value, "ci_low": nats.low, "ci_high": nats.high}


def _sentence(chain: Chain) -> str:
    """The chain in words; where the ends do not differ, that."""
    first, last = (method_name(step.run.label) for step in (chain.steps[0], chain.steps[-1]))
    place = f"between {first} and {last} at {percent(chain.ratio)} ({chain.model}, {chain.dataset})"
    if not chain.whole.excludes_zero:
        found = " ".join(filter(None, (f"{signed(chain.whole.value, 3)} nats per token", interval(Value(*chain.whole), 3))))
        return f"No difference can be measured {place}: {found}."
    made = [(step.change, step.nats) for step in chain.steps if step.nats is not None]
    shares = [(change, round(100 * chain.share(nats))) for change, nats in made]
    gains = [f"{share}\u202f% {'are due ' * (not index)}to {change}" for index, (change, share) in enumerate(_of_sign(shares, 1))]
    losses = [f"{-share}\u202f% {'are lost again ' * (not index)}to {change}" for index, (change, share) in enumerate(_of_sign(shares, -1))]
    sentence = f"Of the {number(abs(chain.whole.value), 3)} nats per token {place}, {_listed(gains)}"
    sentence += f"; {_listed(losses)}." if losses else "."
    chancy = [change for change, nats in made if chain.by_chance(nats)]
    if chain.chance is not None:
        spread = f"the spread of a run over draws ({number(chain.chance, 3)} nats)"
        sentence += f" Not larger than {spread}: {', '.join(chancy)}." if chancy else f" All are larger than {spread}."
    return sentence


def _of_sign(shares: list[tuple[str, int]], sign: int) -> list[tuple[str, int]]:
    """The shares that go with the whole difference (1, zero among them) or against it (-1)."""
    return [(change, share) for change, share in shares if (share < 0) == (sign < 0)]


def _listed(parts: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
