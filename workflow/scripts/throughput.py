"""Time prefill and decoding of one model."""

from drank.steplog import start

start(snakemake.log[0])

from drank.evaluation import Evaluation
from drank.throughput import measure

options = snakemake.params.throughput
evaluation = Evaluation.of(snakemake.input.model, snakemake.params.compute, snakemake.threads)
rows, detail = measure(evaluation.model, **options)
evaluation.record("throughput", snakemake.wildcards, rows, detail, options, {}).write(snakemake.output[0])
