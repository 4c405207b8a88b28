"""Measure the perplexity of one model on every evaluation corpus."""

from drank.steplog import start

start(snakemake.log[0])

from drank.corpora.windows import read_tokens
from drank.evaluation import Evaluation
from drank.perplexity import measure

options = snakemake.params.perplexity
evaluation = Evaluation.of(snakemake.input.model, snakemake.params.compute, snakemake.threads)
texts = [read_tokens(path) for path in snakemake.input.tokens]
rows, detail = measure(evaluation.model, texts, options["length"], options["windows"], options["batch"])
inputs = {f"text {text.corpus}": text.text_sha256 for text in texts}
evaluation.record("perplexity", snakemake.wildcards, rows, detail, options, inputs).write(snakemake.output[0])
