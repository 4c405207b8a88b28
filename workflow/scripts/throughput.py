"""Time prefill and decoding of all methods of one model at one ratio, one after the other in one process."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.evaluation.measured_model import MeasuredModel
from drank.evaluation.throughput import measure
from drank.reporting.records.measured import record_of
from drank.runtime.files import replacing

options, dense, names = snakemake.params.throughput, snakemake.params.dense, snakemake.wildcards
with replacing(snakemake.output[0]) as folder:
    for method, path in zip(snakemake.params.methods, snakemake.input.models, strict=True):
        subject = MeasuredModel.of(path, snakemake.params.compute, snakemake.threads)
        rows, detail = measure(subject.model, **options, name=f"{method} at {names.ratio}")
        label = {"model": names.model, "method": method, "ratio": names.ratio}
        record_of(subject, "throughput", label, rows, detail, options, {}, dense).write(folder / f"{method}.json")
