"""Find a model and write down where it lies and the hashes of its files."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.source import run

run(snakemake.output[0], name=snakemake.wildcards.model, source=snakemake.params.place)
