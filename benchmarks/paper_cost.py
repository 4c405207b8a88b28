"""What a configuration of the paper's models costs, told without them: `python -m benchmarks.paper_cost CONFIG [TARGET …]`.

By model the jobs of a run, the hours of its device and the disk that stays behind: compressed models, spectra, moments and gradients. And
what must be free: disk for the hidden states of a backward pass, and memory of the device for the weights in the dtype of the run. Hours
are the forecast of `drank.config.forecast`, right within a factor of two or three on a GPU with 2e13 multiplications a second in float32.
"""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.config import calibration_options
from drank.config.forecast import PART, WORK, forecast
from drank.config.sizes import Sizes
from drank.models.sources import directory_of
from drank.runtime.files import read_json
from drank.runtime.shipped import WORKFLOW

PUBLISHED = {
    "huggyllama/llama-7b": (4096, 11008, 32, 4096, 32000),
    "huggyllama/llama-13b": (5120, 13824, 40, 5120, 32000),
    "huggyllama/llama-30b": (6656, 17920, 60, 6656, 32000),
    "meta-llama/Llama-2-7b-hf": (4096, 11008, 32, 4096, 32000),
    "mistralai/Mistral-7B-v0.1": (4096, 14336, 32, 1024, 32000),
    "meta-llama/Meta-Llama-3-8B": (4096, 14336, 32, 1024, 128256),
}
"""Width, width of the MLP, layers, width of keys and values, and vocabulary of the models whose embeddings are not tied."""

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}

Job = tuple[int, str, dict[str, str]]


def sizes_of(width: int, inner: int, layers: int, keys: int, vocabulary: int) -> Sizes:
    """The sizes of a Llama model by its shape: q and o, k and v, gate and up, down; embeddings, head and norms are parameters besides."""
    kinds = ((width, width, 2 * layers), (width, keys, 2 * layers), (width, inner, 2 * layers), (inner, width, layers))
    projections = sum(rows * columns * count for rows, columns, count in kinds)
    return Sizes(projections + 2 * vocabulary * width + (2 * layers + 1) * width, kinds)


def shape_of(source: Mapping[str, Any]) -> tuple[int, int, int, int, int]:
    """The shape of a configured model: the published one, or by the files of a model that is here."""
    if source.get("hub") in PUBLISHED:
        return PUBLISHED[source["hub"]]
    told = read_json(directory_of(source) / "config.json")
    keys = told["hidden_size"] // told["num_attention_heads"] * told["num_key_value_heads"]
    return told["hidden_size"], told["intermediate_size"], told["num_hidden_layers"], keys, told["vocab_size"]


def jobs_of(file: Path, targets: list[str]) -> tuple[dict[str, Any], list[Job]]:
    """The configuration as the workflow reads it, and every job of a run from nothing as number, rule and wildcards."""
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings

    with tempfile.TemporaryDirectory() as folder, SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[file.resolve()]),
            snakefile=WORKFLOW / "Snakefile",
            workdir=Path(folder),
        )
        workflow.dag(DAGSettings(targets=set(targets))).execute_workflow(executor="dryrun")
        jobs = [job for job in workflow._workflow.dag.jobs if job.rule.name not in ("all", *targets)]
        return workflow._workflow.globals["config"], [(n, job.rule.name, dict(job.wildcards_dict)) for n, job in enumerate(jobs)]


def disk(config: Mapping[str, Any], size: Sizes, rule: str, names: Mapping[str, str]) -> float:
    """The bytes that a job's output leaves behind."""
    if rule == "compress":
        inside = sum(rows * columns * count for rows, columns, count in size.projections)
        ratio = float(names["ratio"])
        full = sum(min(rows, columns) * (rows + columns) * count for rows, columns, count in size.projections)
        stored = full if ratio == 0 else (1 - ratio) * inside  # a budget is met to within one rank; without one all ranks are kept
        return (size.parameters - inside + stored) * BYTES[config["compute"]["dtype"]]
    if rule == "spectrum":
        return sum(4 * min(rows, columns) * columns * count for rows, columns, count in size.projections)
    if rule == "calibrate":
        (width, _, both), *_, (inner, _, layers) = size.projections
        return 8 * (1.5 * both * width**2 + layers * inner**2)  # inputs of attention, of o, of the MLP and of down
    if rule == "gradients":
        return sum((4 * rows * columns + 8 * columns**2) * count for rows, columns, count in size.projections)
    return 0.0


def costs(config: Mapping[str, Any], jobs: list[Job], shapes: Mapping[str, tuple[int, int, int, int, int]]) -> list[dict[str, Any]]:
    """A row for each model, in GB and hours, and one with the sums; jobs of no model are in the sum alone."""
    sizes = {model: sizes_of(*shape) for model, shape in shapes.items()}
    seconds = forecast(config, jobs, sizes=sizes)
    text = calibration_options(config)
    rows: dict[str, dict[str, float]] = {model: defaultdict(float) for model in (*sizes, "all")}
    for number, rule, names in jobs:
        of = [rows[model] for model in {names.get("model", "all"), "all"}]
        for row in of:
            row["jobs"] += 1
            row["hours"] += seconds[number] / 3600 if rule.removesuffix(PART) in WORK else 0
            if "model" in names:
                row[rule] += disk(config, sizes[names["model"]], rule, names) / 1e9
    for model, (width, _, layers, _, _) in shapes.items():
        rows[model]["weights"] = sizes[model].parameters * BYTES[config["compute"]["dtype"]] / 1e9
        backward = any(rule.removesuffix(PART) == "gradients" and names["model"] == model for _, rule, names in jobs)
        rows[model]["scratch"] = 4 * (layers + 1) * text["windows"] * text["length"] * width / 1e9 if backward else 0.0
    for column in ("weights", "scratch"):
        rows["all"][column] = max(rows[model][column] for model in sizes)
    columns = ("jobs", "hours", "compress", "spectrum", "calibrate", "gradients", "scratch", "weights")
    return [{"model": model, **{column: row[column] for column in columns}} for model, row in rows.items()]


def main() -> None:
    """Print the table."""
    config, jobs = jobs_of(Path(sys.argv[1]), sys.argv[2:])
    rows = costs(config, jobs, {model: shape_of(source) for model, source in config["models"].items()})
    titles = {"compress": "models GB", "spectrum": "spectra GB", "calibrate": "moments GB", "gradients": "gradients GB"}
    titles |= {"scratch": "hidden states GB", "weights": "weights GB"}
    lines = [[titles.get(column, column) for column in rows[0]]]
    lines += [[f"{value:.0f}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        sys.stdout.write("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) + "\n")


if __name__ == "__main__":
    main()
