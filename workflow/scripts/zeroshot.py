"""Measure the zero-shot accuracy of one model on every task."""

from drank.steplog import start

start(snakemake.log[0])

from drank.checkpoint import load_tokenizer
from drank.evaluation import Evaluation
from drank.files import file_hash
from drank.zeroshot import evaluate_tasks

options, tasks = snakemake.params.zeroshot, snakemake.params.tasks
evaluation = Evaluation.of(snakemake.input.model, snakemake.params.compute, snakemake.threads)
tokenizer = load_tokenizer(evaluation.directory)
built = dict(zip(snakemake.params.embedded, snakemake.input.task_items, strict=True))
rows, detail = evaluate_tasks(evaluation.model, tokenizer, tasks, items=built, batch=options["batch"], limit=options["limit"])
inputs = {f"data {path}": file_hash(path) for path in [*snakemake.input.task_items, *snakemake.input.data]}
settings = {**options, "tasks": tasks}
evaluation.record("zeroshot", snakemake.wildcards, rows, detail, settings, inputs).write(snakemake.output[0])
