"""Decompose every group of a model under one weighting: squared singular values, effective ranks, bases."""

from drank.steps.log import start

start(snakemake.log[0])

from pathlib import Path

from drank.models.sources import model_directory
from drank.models.weights import Checkpoint
from drank.spectra.spectrum import decompose_model
from drank.steps.device import prepare
from drank.steps.files import read_json

params, inputs = snakemake.params, snakemake.input
device = prepare(params.compute, snakemake.threads)
names = {"model": snakemake.wildcards.model, "spectrum": snakemake.wildcards.spectrum}
recipe = {"weighting": params.weighting, "options": dict(params.options), "group": params.group}
read = [Path(folder) / "facts.json" for folder in (inputs.moments, inputs.get("gradients")) if folder]
written = [path.stat().st_mtime_ns for path in read]  # partial work made of other statistics must not be gone on with
decompose_model(
    Checkpoint(model_directory(inputs.source)),
    snakemake.output[0],
    moments=inputs.moments,
    gradients=inputs.get("gradients"),
    **recipe,
    facts={**names, **recipe, "calibration": read_json(f"{inputs.moments}/facts.json")},
    device=device,
    key={"code": params.code, "compute": params.compute, "written": written},
)
