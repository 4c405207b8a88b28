"""Train one embedded model, tokenizer and all, from its seed on the train split of python-docs."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.corpora import load
from drank.runtime.device import prepare
from drank.testbed.training import build

device = prepare(snakemake.params.compute, snakemake.threads)
documents, facts = load(snakemake.input.corpus)
build(snakemake.wildcards.name, documents, facts["versions"], snakemake.output[0], device)
