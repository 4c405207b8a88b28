"""Take L-Rank apart on one model: `python -m benchmarks.l_rank --model docs-mha --out FOLDER`.

Measures in one process, row by row and ratio by ratio, and writes into the folder `ablation`, `windows` and `corpora` (.csv and .tex)
and `prediction` (.csv, .png and .pdf). What has been measured is kept there (`measured/`, `prediction/`) and not measured again, nor are
statistics and spectra (`statistics/`, which may be deleted at the end); after a change of drank's code give another folder. All numbers
are gaps to the dense model in log-perplexity.

On docs-mha with two cores the whole of it takes some hours; `--parts`, `--rows`, `--ratios`, `--windows` and `--evaluated` ask for less.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from benchmarks.l_rank_lab import Job, Lab, Losses, Settings, Source, say
from benchmarks.l_rank_prediction import RATIOS, figure, predictions
from benchmarks.l_rank_rows import ABLATION, FIRST, FULL, OVER_CORPORA, OVER_WINDOWS, ROWS
from benchmarks.l_rank_tables import Block, Found, Line, gap_table
from drank.evaluation.bootstrap import LEVEL
from drank.models.families import kind_of
from drank.models.sources import problems_of
from drank.reporting.figures.style import save
from drank.reporting.names import percent
from drank.reporting.tables import Table, write
from drank.steps.device import prepare
from drank.steps.files import write_text
from drank.testbed import MODELS

EMBEDDED = {
    "python-docs": Source({"embedded": "python-docs"}, 4_000_000),
    "python-reference": Source({"embedded": "python-reference"}),
    "python-code": Source({"embedded": "python-code"}, 1_000_000),
}
"""The corpora of the default configuration."""

RATIO = 0.4
"""The ratio at which the size and the corpus of the calibration text are varied."""

MOST = 256
"""Windows of the largest calibration."""

PARTS = ("ablation", "windows", "corpora", "prediction")


class Benchmark:
    """What was asked for: which rows at which ratios, and where calibration takes its windows from unless it is what is varied."""

    def __init__(self, lab: Lab, rows: Sequence[str], ratios: Sequence[float], windows: int, sizes: Sequence[int]) -> None:
        """Rows that cannot apply to the model are left out, with a line that says why."""
        kinds, layers = {kind_of(projection.role) for projection in lab.checkpoint.family.projections}, lab.checkpoint.layers
        refused = {name: reason for name in rows if (reason := ROWS[name].method.refusal(kinds, layers))}
        for name, reason in refused.items():
            say(f"{name} is left out: {reason}")
        self.lab, self.ratios, self.windows, self.sizes = lab, ratios, windows, sizes
        self.rows = [name for name in rows if name not in refused]
        self.corpora = list(lab.texts)
        self.home = self.corpora[0]

    def jobs(self, part: str) -> list[Job]:
        """The measurements of one table."""
        if part == "ablation":
            return [Job(row, ratio, self.home, self.windows) for ratio in self.ratios for row in self.rows]
        if part == "windows":
            return [Job(row, RATIO, self.home, size) for size in self.sizes for row in OVER_WINDOWS if row in self.rows]
        return [Job(row, RATIO, corpus, self.windows) for corpus in self.corpora for row in OVER_CORPORA if row in self.rows]

    def table(self, part: str) -> Table:
        """One table, from the records there are."""
        return {"ablation": self._ablation, "windows": self._windows, "corpora": self._corpora}[part]()

    def _ablation(self) -> Table:
        def line(name: str) -> Line:
            jobs = [Job(name, ratio, self.home, self.windows) for ratio in self.ratios]
            return Line((ROWS[name].text,), tuple(self._found(job, FULL) for job in jobs))

        caption = f"What each part of L-Rank adds on {self._model}: gaps to the dense model in log-perplexity, calibrated on "
        caption += f"{self.windows} windows of {self._origin(self.home)}. {self._small(FULL)}"
        blocks = [[line(row.name) for row in block if row.name in self.rows] for block in ABLATION]
        return self._table("ablation", caption, ("Row",), tuple(f"{percent(ratio)} removed" for ratio in self.ratios), blocks)

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
        return f"In small type the {percent(LEVEL)} interval, by bootstrap over the same windows,"

    def _small(self, reference: str) -> str:
        return f"{self._intervals} of the difference to {ROWS[reference].method.title}."

    def _origin(self, corpus: str) -> str:
        """A corpus, and what part of it calibration reads."""
        part = "its train text" if self.lab.trains(corpus) else "its test text after the evaluated windows"
        return f"{corpus} ({part})"


def sources(given: Sequence[str]) -> dict[str, Source]:
    """The corpora of `NAME=TEST` and `NAME=TEST,TRAIN`, the embedded ones where none are given; raises ValueError for other forms."""
    found = {}
    for text in given:
        name, _, paths = text.partition("=")
        parts = paths.split(",")
        if not name or not all(parts) or len(parts) > 2:
            raise ValueError(f"corpus {text!r} is not of the form NAME=TEST or NAME=TEST,TRAIN")
        found[name] = Source({"files": dict(zip(("test", "train"), parts, strict=False))})
    return found or EMBEDDED


def sizes_up_to(windows: int, tokens: int, length: int) -> list[int]:
    """2, 4, 8, … up to the windows of all other tables, and once more twice as many where the text holds them side by side."""
    sizes = [2**power for power in range(1, MOST.bit_length()) if 2**power <= min(windows, MOST)]
    double = 2 * windows
    return sizes + [double] * (double <= MOST and double * length <= tokens)


def model_at(name: str) -> Path:
    """The directory of an embedded model, or the one named; raises ValueError where there is no model."""
    source = {"embedded": name} if (MODELS / name / "config.json").is_file() else {"path": name}
    if problems := problems_of(source):
        raise ValueError("; ".join(problems))
    return MODELS / name if "embedded" in source else Path(name)


def numbers(text: str) -> list[float]:
    """Numbers with commas between them."""
    return [float(part) for part in text.split(",")]


def names(known: Sequence[str], text: str) -> list[str]:
    """Names with commas between them, in the order of those known; raises ArgumentTypeError for others."""
    wanted = text.split(",")
    if unknown := [name for name in wanted if name not in known]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return [name for name in known if name in wanted]


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", default="docs-mha", help="name of an embedded model, or a model directory (default docs-mha)")
    add("--out", type=Path, required=True, help="folder of all results")
    add("--corpus", action="append", default=[], metavar="NAME=TEST[,TRAIN]", help="text files; the first corpus is that of calibration")
    add("--parts", type=lambda text: names(PARTS, text), default=list(PARTS), help=f"of {', '.join(PARTS)} (default all)")
    add("--rows", type=lambda text: names(list(ROWS), text), default=list(ROWS), help=f"of {', '.join(ROWS)} (default all)")
    add("--ratios", type=numbers, default=[0.2, 0.4, 0.6], help="of the ablation (default 0.2,0.4,0.6)")
    add("--predicted", type=numbers, default=list(RATIOS), help="ratios of the prediction (default 0.02 to 0.9)")
    add("--windows", type=int, default=128, help="calibration windows (default 128)")
    add("--length", type=int, default=256, help="tokens in a window (default 256)")
    add("--evaluated", type=int, default=64, help="evaluation windows of each corpus (default 64)")
    add("--batch", type=int, default=8, help="windows run at once (default 8)")
    add("--seed", type=int, default=13, help="seed of windows and labels (default 13)")
    add("--dtype", default="float32", help="precision of the model (default float32)")
    add("--device", default="auto", help="auto, cpu or cuda (default auto)")
    add("--threads", type=int, default=1, help="threads to compute with (default 1)")
    return parser.parse_args()


def main() -> None:
    """Measure what is missing and write the tables."""
    asked = options()
    disable_progress_bar()
    device = prepare({"device": asked.device}, asked.threads)
    settings = Settings(asked.length, asked.evaluated, asked.seed, asked.dtype)
    lab = Lab(model_at(asked.model), asked.out, sources(asked.corpus), settings, asked.batch, device)
    home = next(iter(lab.texts))
    sizes = sizes_up_to(asked.windows, len(lab.calibration_text(home).ids), asked.length)
    benchmark = Benchmark(lab, asked.rows, asked.ratios, asked.windows, sizes)
    tables = [part for part in asked.parts if part != "prediction"]
    lab.measure(job for part in tables for job in benchmark.jobs(part))
    for part in tables:
        write(benchmark.table(part), asked.out / f"{part}.csv", asked.out / f"{part}.tex")
    if "prediction" in asked.parts:
        frame = predictions(lab, lab.calibration(home, asked.windows), ROWS[FIRST].method, asked.predicted)
        write_text(asked.out / "prediction.csv", frame.to_csv(index=False, lineterminator="\n"))
        save(figure(frame), asked.out / "prediction.pdf", asked.out / "prediction.png")
    say(f"{asked.out} holds {', '.join(asked.parts)}")


if __name__ == "__main__":
    main()
