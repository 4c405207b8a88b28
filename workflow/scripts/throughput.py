"""Time prefill and decoding of all methods of one model at one ratio, one after the other in one process."""

from drank.steplog import start

start(snakemake.log[0])

from drank.evaluation import Evaluation
from drank.files import replacing
from drank.throughput import measure

options, names = snakemake.params.throughput, snakemake.wildcards
with replacing(snakemake.output[0]) as folder:
    for method, path in zip(snakemake.params.methods, snakemake.input.models, strict=True):
        evaluation = Evaluation.of(path, snakemake.params.compute, snakemake.threads)
        rows, detail = measure(evaluation.model, **options)
        label = {"model": names.model, "method": method, "ratio": names.ratio}
        evaluation.record("throughput", label, rows, detail, options, {}).write(folder / f"{method}.json")
