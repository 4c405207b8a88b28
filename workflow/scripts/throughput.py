"""Time prefill and decoding of all methods of one model at one ratio, one after the other in one process."""

from drank.steps.log import start

start(snakemake.log[0])

from drank.evaluation.subject import Evaluation
from drank.evaluation.throughput import measure
from drank.steps.files import replacing

options, names = snakemake.params.throughput, snakemake.wildcards
with replacing(snakemake.output[0]) as folder:
    for method, path in zip(snakemake.params.methods, snakemake.input.models, strict=True):
        evaluation = Evaluation.of(path, snakemake.params.compute, snakemake.threads)
        rows, detail = measure(evaluation.model, **options)
        label = {"model": names.model, "method": method, "ratio": names.ratio}
        evaluation.record("throughput", label, rows, detail, options, {}).write(folder / f"{method}.json")
