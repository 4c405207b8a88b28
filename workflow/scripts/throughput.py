"""Time prefill and decoding of all methods of one model at one ratio in one process."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.throughput import run

params = snakemake.params
run(
    snakemake.output[0],
    names=dict(snakemake.wildcards.items()),
    models=dict(zip(params.methods, snakemake.input.models, strict=True)),
    throughput=params.throughput,
    dense=params.dense,
    theirs=params.theirs,
    beside=next(iter(snakemake.input.beside), None),
    places=params.places,
    compute=params.compute,
    threads=params.threads,
    memory_mb=snakemake.resources.mem_mb,
)
