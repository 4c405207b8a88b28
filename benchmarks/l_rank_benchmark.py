"""What the benchmark of L-Rank measures for each of its tables, and the tables of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.l_rank_lab import Job, Lab, Losses
from benchmarks.l_rank_materials import say
from benchmarks.l_rank_rows import ABLATION, FULL, OVER_CORPORA, OVER_WINDOWS, ROWS, STORAGE, Row
from benchmarks.l_rank_tables import Block, Found, Line, gap_table
from drank.models.families import kind_of
from drank.reporting.names import percent
from drank.reporting.tables import Table
from drank.statistics.intervals import LEVEL

RATIO = 0.4
"""The ratio at which the size and the corpus of the calibration text are varied."""


class ByRatio(NamedTuple):
    """A table with a column for each ratio: what it shows, its rows with a rule between the blocks, and the ratios."""

    caption: str
    blocks: tuple[tuple[Row, ...], ...]
    ratios: Sequence[float]


class Benchmark:
    """What was asked for: which rows at which ratios, and where calibration takes its windows from unless it is what is varied."""

    def __init__(
        self, lab: Lab, rows: Sequence[str], ratios: Sequence[float], stored: Sequence[float], windows: int, sizes: Sequence[int]
    ) -> None:
        """`ratios` are those of the ablation, `stored` those of the storages. Rows that cannot apply are left out, with a line of why."""
        kinds, layers = {kind_of(projection.role) for projection in lab.checkpoint.family.projections}, lab.checkpoint.layers
        refused = {name: reason for name in rows if (reason := ROWS[name].method.refusal(kinds, layers))}
        for name, reason in refused.items():
            say(f"{name} is left out: {reason}")
        self.lab, self.windows, self.sizes = lab, windows, sizes
        self.by_ratio = {
            "ablation": ByRatio("What each part of L-Rank adds", ABLATION, ratios),
            "storage": ByRatio("Published methods as two factors and pivoted", STORAGE, stored),
        }
        self.rows = [name for name in rows if name not in refused]
        self.corpora = list(lab.texts)
        self.home = self.corpora[0]

    def jobs(self, part: str) -> list[Job]:
        """The measurements of one table."""
        if part in self.by_ratio:
            _, blocks, ratios = self.by_ratio[part]
            names = [row.name for block in blocks for row in block if row.name in self.rows]
            return [Job(name, ratio, self.home, self.windows) for ratio in ratios for name in names]
        if part == "windows":
            return [Job(row, RATIO, self.home, size) for size in self.sizes for row in OVER_WINDOWS if row in self.rows]
        return [Job(row, RATIO, corpus, self.windows) for corpus in self.corpora for row in OVER_CORPORA if row in self.rows]

    def table(self, part: str) -> Table:
        """One table, from the records there are."""
        if part in self.by_ratio:
            return self._by_ratio(part)
        return {"windows": self._windows, "corpora": self._corpora}[part]()

    def _by_ratio(self, part: str) -> Table:
        caption, chosen, ratios = self.by_ratio[part]

        def line(row: Row) -> Line:
            jobs = [Job(row.name, ratio, self.home, self.windows) for ratio in ratios]
            return Line((row.text,), tuple(self._found(job, FULL) for job in jobs))

        caption += f" on {self._model}: gaps to the dense model in log-perplexity, calibrated on "
        caption += f"{self.windows} windows of {self._origin(self.home)}. {self._small(FULL)}"
        blocks = [[line(row) for row in block if row.name in self.rows] for block in chosen]
        return self._table(part, caption, ("Row",), tuple(f"{percent(ratio)} removed" for ratio in ratios), blocks)

    def _windows(self) -> Table:
        def found(row: str, size: int) -> Found:
            job = Job(row, RATIO, self.home, size)
            return Found(job, self.lab.found(job), self.lab.found(job._replace(windows=self.sizes[-1])))

        rows = [row for row in OVER_WINDOWS if row in self.rows]
        caption = f"Gaps to the dense model of {self._model} in log-perplexity at {percent(RATIO)} by the number of calibration windows of "
        caption += f"{self.lab.settings.length} tokens from {self._origin(self.home)}. {self._intervals} of the difference to "
        caption += f"{self.sizes[-1]} windows."
        lines = [Line((str(size),), tuple(found(row, size) for row in rows)) for size in self.sizes]
        return self._table("windows", caption, ("Windows",), tuple(ROWS[row].method.title for row in rows), [lines])

    def _corpora(self) -> Table:
        rows = [row for row in OVER_CORPORA if row in self.rows]
        blocks = [
            [Line((corpus, ROWS[row].method.title), (self._found(Job(row, RATIO, corpus, self.windows), FULL),)) for row in rows]
            for corpus in self.corpora
        ]
        caption = f"Gaps to the dense model of {self._model} in log-perplexity at {percent(RATIO)} by the corpus of the {self.windows} "
        caption += f"calibration windows: {'; '.join(map(self._origin, self.corpora))}. {self._small(FULL)} Best of each corpus in bold."
        return self._table("corpora", caption, ("Calibrated on", "Row"), ("Evaluated on",), blocks, best=True)

    def _found(self, job: Job, reference: str) -> Found:
        """The losses of a job beside those of another row at the same place."""
        return Found(job, self.lab.found(job), self.lab.found(job._replace(row=reference)))

    def _table(
        self, name: str, caption: str, heads: tuple[str, ...], groups: tuple[str, ...], blocks: Sequence[Block], *, best: bool = False
    ) -> Table:
        dense: Losses = self.lab.dense
        return gap_table(name, self._model, caption, heads, groups, blocks, dense, best)

    @property
    def _model(self) -> str:
        return self.lab.source.name

    @property
    def _intervals(self) -> str:
        return f"In small type the {percent(LEVEL)} interval, over the same windows,"

    def _small(self, reference: str) -> str:
        return f"{self._intervals} of the difference to {ROWS[reference].method.title}."

    def _origin(self, corpus: str) -> str:
        """A corpus, and what part of it calibration reads."""
        part = "its train text" if self.lab.trains(corpus) else "its test text after the evaluated windows"
        return f"{corpus} ({part})"
