"""Build the items of one embedded task from the held-out documents of python-docs."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.corpora import load
from drank.testbed.tasks import write_task

documents, _ = load(snakemake.input.corpus, "test")
write_task(snakemake.params.name, documents, snakemake.output.jsonl)
