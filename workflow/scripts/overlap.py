"""Find how much of a text on which models are measured stands word for word in one that making them reads."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.overlap import run

inputs, params = snakemake.input, snakemake.params
run(snakemake.output[0], measured=inputs.measured, read=inputs.read, perplexity=params.perplexity, seen=params.seen)
