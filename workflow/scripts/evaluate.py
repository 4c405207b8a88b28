"""Measure one model: perplexity on every evaluation corpus and zero-shot accuracy on every task."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.evaluate import run

inputs, params = snakemake.input, snakemake.params
run(
    dict(snakemake.output.items()),
    names={name: snakemake.wildcards[name] for name in ("model", "method", "ratio")},
    model=inputs.model,
    tokens=inputs.tokens,
    tasks=params.tasks,
    items=dict(zip(params.embedded, inputs.task_items, strict=True)),
    data=inputs.data,
    perplexity=params.perplexity,
    zeroshot=params.zeroshot,
    dense=params.dense,
    beside=inputs.get("beside"),
    references=inputs.references,
    source=inputs.get("source"),
    overlaps=inputs.overlaps,
    overfitting=inputs.overfitting,
    places=params.places,
    compute=params.compute,
    threads=snakemake.threads,
    share=snakemake.wildcards.get("scatteritem"),
    parts=inputs.parts,
    kept=params.kept,
    measured_by=params.measured_by,
)
