"""Build the items of one embedded task from the held-out documents of python-docs."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.task import run

run(snakemake.output.jsonl, name=snakemake.params.name, corpus=snakemake.input.corpus)
