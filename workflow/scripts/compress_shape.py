"""Compress a shape by a plan, with factors drawn at random, and save it as a Hugging Face model directory."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.compress_shape import run

inputs, params = snakemake.input, snakemake.params
run(
    snakemake.output[0],
    source=inputs.source,
    places=params.places,
    plan=inputs.plan,
    compute=params.compute,
    threads=snakemake.threads,
)
