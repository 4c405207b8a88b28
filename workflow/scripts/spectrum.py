"""Decompose every group of a model under one weighting: squared singular values, effective ranks, bases."""

from drank.steplog import start

start(snakemake.log[0])

from drank.compute import prepare
from drank.files import read_json
from drank.sources import Checkpoint, model_directory
from drank.spectra import spectra_of, write_spectra

device = prepare(snakemake.params.compute, snakemake.threads)
weighting, _, group = snakemake.wildcards.spectrum.rpartition("-n")
checkpoint = Checkpoint(model_directory(snakemake.input.source))
spectra = spectra_of(checkpoint, snakemake.input.moments, weighting, int(group), device)
names = {"model": snakemake.wildcards.model, "spectrum": snakemake.wildcards.spectrum}
facts = {**names, "weighting": weighting, "group": int(group), "calibration": read_json(f"{snakemake.input.moments}/facts.json")}
write_spectra(snakemake.output.spectra, spectra, facts)
