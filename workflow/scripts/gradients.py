"""Differentiate the loss on calibration text with respect to every projection of a model."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.gradients import run

inputs, params = snakemake.input, snakemake.params
what = {"source": inputs.source, "places": params.places, "tokens": inputs.tokens}
division = {"share": snakemake.wildcards.get("scatteritem"), "parts": inputs.parts}
text = {"labels": snakemake.wildcards.labels, "calibration": params.calibration, "outputs": params.outputs}
run(snakemake.output[0], **what, **text, **division, compute=params.compute, threads=snakemake.threads, code=params.code)
