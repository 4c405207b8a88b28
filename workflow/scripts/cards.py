"""Write the numbers of the run into the cards of its compressed models."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.cards import run

run(snakemake.output[0], models=snakemake.input.models, records=snakemake.input.records)
