"""Run the dense model on a text on which others are measured, and keep what its predictions are made of."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.reference import run

inputs, params = snakemake.input, snakemake.params
what = {"source": inputs.source, "places": params.places, "tokens": inputs.tokens}
run(snakemake.output[0], **what, perplexity=params.perplexity, compute=params.compute, threads=snakemake.threads)
