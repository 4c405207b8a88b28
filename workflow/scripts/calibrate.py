"""Accumulate the moments of the inputs of every projection of a model over calibration text."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.calibrate import run

inputs, params = snakemake.input, snakemake.params
what = {"source": inputs.source, "places": params.places, "tokens": inputs.tokens, "calibration": params.calibration}
division = {"share": snakemake.wildcards.get("scatteritem"), "parts": inputs.parts}
run(snakemake.output[0], **what, **division, compute=params.compute, threads=snakemake.threads, code=params.code)
