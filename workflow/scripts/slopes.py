"""Slopes of every group of a model: how the loss changes, to first order, without one component."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.slopes import run

inputs = snakemake.input
read = {"source": inputs.source, "places": snakemake.params.places, "spectra": inputs.spectra, "gradients": inputs.gradients}
run(snakemake.output[0], **read, compute=snakemake.params.compute, threads=snakemake.threads)
