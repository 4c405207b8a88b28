"""Read one corpus from where it lies into a Parquet file of documents."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.corpus import run

run(snakemake.output[0], source=snakemake.params.source)
