"""Measure one model: perplexity on every evaluation corpus and zero-shot accuracy on every task."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.corpora.windows import read_tokens
from drank.evaluation.measured_model import MeasuredModel
from drank.evaluation.perplexity import measure
from drank.evaluation.zeroshot import evaluate_tasks
from drank.models.checkpoint import load_tokenizer
from drank.reporting.records.measured import record_of
from drank.runtime.files import file_hash

options, tasks, dense, output = snakemake.params.perplexity, snakemake.params.tasks, snakemake.params.dense, snakemake.output
subject = MeasuredModel.of(snakemake.input.model, snakemake.params.compute, snakemake.threads)

if texts := [read_tokens(path) for path in snakemake.input.tokens]:
    rows, detail = measure(subject.model, texts, options["length"], options["windows"], options["batch"])
    inputs = {f"text {text.corpus}": text.text_sha256 for text in texts}
    record_of(subject, "perplexity", snakemake.wildcards, rows, detail, options, inputs, dense).write(output.perplexity)

if tasks:
    options = snakemake.params.zeroshot
    built = dict(zip(snakemake.params.embedded, snakemake.input.task_items, strict=True))
    tokenizer = load_tokenizer(subject.directory)
    rows, detail = evaluate_tasks(subject.model, tokenizer, tasks, items=built, batch=options["batch"], limit=options["limit"])
    inputs = {f"data {path}": file_hash(path) for path in [*snakemake.input.task_items, *snakemake.input.data]}
    record_of(subject, "zeroshot", snakemake.wildcards, rows, detail, {**options, "tasks": tasks}, inputs, dense).write(output.zeroshot)
