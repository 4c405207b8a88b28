"""Tokenise one split of a corpus with the tokenizer of one model."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.corpora.windows import tokenize, write_tokens
from drank.models.checkpoint import load_tokenizer
from drank.models.sources import model_directory
from drank.runtime.device import go_offline

go_offline()
tokenizer = load_tokenizer(model_directory(snakemake.input.source))
names = snakemake.wildcards
write_tokens(snakemake.output[0], tokenize(tokenizer, snakemake.input.corpus, names.corpus, names.split, snakemake.params.characters))
