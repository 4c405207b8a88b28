"""Find somebody else's checkpoint and write down where it lies and the hashes of its files."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.checkpoint import run

run(snakemake.output[0], **snakemake.params.where, beside=snakemake.input.beside)
