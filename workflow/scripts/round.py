"""Round the dense model to a few bits a weight, to be measured beside it."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.round import run

params = snakemake.params
run(
    snakemake.output[0],
    name="/".join(snakemake.wildcards),
    source=snakemake.input.source,
    places=params.places,
    rounding=params.rounding,
    compute=params.compute,
    threads=snakemake.threads,
)
