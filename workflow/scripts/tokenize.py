"""Tokenise one split of a corpus with the tokenizer of one model."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.tokenize import run

inputs, names = snakemake.input, snakemake.wildcards
text = {"name": names.corpus, "split": names.split, "characters": snakemake.params.characters}
run(snakemake.output[0], corpus=inputs.corpus, source=inputs.source, places=snakemake.params.places, **text)
