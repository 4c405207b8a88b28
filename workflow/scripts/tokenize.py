"""Tokenise one split of a corpus with the tokenizer of one model."""

from drank.steplog import start

start(snakemake.log[0])

from drank.checkpoint import load_tokenizer
from drank.compute import go_offline
from drank.corpora.windows import tokenize, write_tokens
from drank.sources import model_directory

go_offline()
tokenizer = load_tokenizer(model_directory(snakemake.input.source))
names = snakemake.wildcards
write_tokens(snakemake.output[0], tokenize(tokenizer, snakemake.input.corpus, names.corpus, names.split, snakemake.params.characters))
