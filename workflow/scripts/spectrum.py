"""Decompose every group of a model under one weighting: squared singular values, effective ranks, bases."""

from drank.runtime.log import start

start(snakemake.log[0])

from pathlib import Path

from drank.models.sources import model_directory
from drank.models.weights import Checkpoint
from drank.runtime.device import prepare
from drank.runtime.files import read_json
from drank.spectra.spectrum import decompose_model

params, inputs = snakemake.params, snakemake.input
device = prepare(params.compute, snakemake.threads)
names = {"model": snakemake.wildcards.model, "spectrum": snakemake.wildcards.spectrum}
recipe = {"weighting": params.weighting, "options": dict(params.options), "group": params.group}
folders = [Path(folder) for folder in (inputs.get("gradients"), inputs.get("moments")) if folder]
read = {key: value for folder in folders for key, value in read_json(folder / "facts.json").items()}
# Partial work made of other statistics must not be gone on with.
written = [(folder / "facts.json").stat().st_mtime_ns for folder in folders]
decompose_model(
    Checkpoint(model_directory(inputs.source)),
    snakemake.output[0],
    moments=inputs.get("moments"),
    gradients=inputs.get("gradients"),
    **recipe,
    facts={**names, **recipe, "calibration": read},
    device=device,
    key={"code": params.code, "compute": params.compute, "written": written},
)
