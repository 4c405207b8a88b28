"""Take L-Rank apart on one model: `python -m benchmarks.l_rank --model docs-mha --out FOLDER`.

Measures in one process, row by row and ratio by ratio, and writes into the folder `ablation`, `storage` (published methods in both, 10 to
80 %), `windows` and `corpora` (.csv and .tex) and `prediction` (.csv, .png and .pdf). What has been measured is kept there (`measured/`,
`prediction/`) and not measured again, nor are statistics and spectra (`statistics/`, which may be deleted at the end); after a change of
drank's code give another folder. All numbers are gaps to the dense model in log-perplexity.

On docs-mha with two cores the whole of it takes some hours; `--parts`, `--rows`, `--ratios`, `--stored`, `--windows` and `--evaluated` ask
for less.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from benchmarks.l_rank_benchmark import Benchmark
from benchmarks.l_rank_lab import Lab
from benchmarks.l_rank_materials import Settings, Source, say
from benchmarks.l_rank_prediction import RATIOS, figure, predictions
from benchmarks.l_rank_rows import ROWS
from drank.models.sources import problems_of
from drank.reporting.figures.sheet import save
from drank.reporting.tables import write
from drank.runtime.device import prepare
from drank.runtime.files import write_text
from drank.testbed import MODELS

EMBEDDED = {
    "python-docs": Source({"embedded": "python-docs"}, 4_000_000),
    "python-reference": Source({"embedded": "python-reference"}),
    "python-code": Source({"embedded": "python-code"}, 1_000_000),
}
"""The corpora of the default configuration."""

MOST = 256
"""Windows of the largest calibration."""

PARTS = ("ablation", "storage", "windows", "corpora", "prediction")


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
    add("--stored", type=numbers, default=[tenth / 10 for tenth in range(1, 9)], help="of the storages (default 0.1 to 0.8)")
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
    benchmark = Benchmark(lab, asked.rows, asked.ratios, asked.stored, asked.windows, sizes)
    tables = [part for part in asked.parts if part != "prediction"]
    lab.measure(job for part in tables for job in benchmark.jobs(part))
    for part in tables:
        write([benchmark.table(part)], asked.out / f"{part}.tex")
    if "prediction" in asked.parts:
        frame = predictions(lab, lab.calibration(home, asked.windows), ROWS["plain-factors"].method, asked.predicted)
        write_text(asked.out / "prediction.csv", frame.to_csv(index=False, lineterminator="\n"))
        save(figure(frame), asked.out / "prediction.pdf", asked.out / "prediction.png")
    say(f"{asked.out} holds {', '.join(asked.parts)}")


if __name__ == "__main__":
    main()
