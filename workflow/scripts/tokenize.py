"""Tokenise one split of a corpus with the tokenizer of one model."""

from drank.steplog import start

start(snakemake.log[0])

from drank.checkpoint import load_tokenizer
from drank.compute import go_offline
from drank.corpora.windows import tokenize, write_tokens
from drank.files import read_json

go_offline()
source = read_json(snakemake.input.source)
tokenizer = load_tokenizer(source["directory"], trust_remote_code=source["source"].get("trust_remote_code", False))
names = snakemake.wildcards
write_tokens(snakemake.output[0], tokenize(tokenizer, snakemake.input.corpus, names.corpus, names.split, snakemake.params.characters))
