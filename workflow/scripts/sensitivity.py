"""Measure the perplexity of a model with each group alone truncated, at nine kept ratios."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.sensitivity import run

inputs, params = snakemake.input, snakemake.params
read = {"source": inputs.source, "places": params.places, "spectra": inputs.spectra, "tokens": inputs.tokens}
run(snakemake.output[0], **read, search=params.search, compute=params.compute, threads=snakemake.threads)
