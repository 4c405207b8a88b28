"""Decompose every group of a model under one weighting: squared singular values, effective ranks, bases."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.spectrum import run

inputs, params, names = snakemake.input, snakemake.params, snakemake.wildcards
read = {"source": inputs.source, "places": params.places, "moments": inputs.get("moments"), "gradients": inputs.get("gradients")}
recipe = {"weighting": params.weighting, "options": params.options, "group": params.group}
about = {"model": names.model, "spectrum": names.spectrum}
compute = {"compute": params.compute, "threads": snakemake.threads}
run(snakemake.output.spectra, names=about, **read, **recipe, **compute, code=params.code, ranks=snakemake.output.ranks)
