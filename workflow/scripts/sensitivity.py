"""Measure the perplexity of a model with each group alone truncated, at nine kept ratios."""

from drank.steplog import start

start(snakemake.log[0])

from drank.checkpoint import load_model
from drank.compute import prepare
from drank.corpora.windows import read_tokens
from drank.files import write_json
from drank.sensitivity import search
from drank.sources import Checkpoint, model_directory

options, compute = snakemake.params.search, snakemake.params.compute
device = prepare(compute, snakemake.threads)
directory = model_directory(snakemake.input.source)
tokens = read_tokens(snakemake.input.tokens)
windows = tokens.sample(options["length"], options["windows"], options["seed"])
model = load_model(directory, compute["dtype"], device)
perplexity = search(model, Checkpoint(directory), snakemake.input.spectra, windows, options["batch"])
facts = {**options, "text_sha256": tokens.text_sha256, "tokens_sha256": tokens.ids_sha256}
write_json(snakemake.output[0], {"perplexity": perplexity, "facts": facts})
