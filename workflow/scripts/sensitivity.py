"""Measure the perplexity of a model with each group alone truncated, at nine kept ratios."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.allocation.sensitivity_search import search
from drank.corpora.windows import read_tokens
from drank.models.checkpoint import load_model
from drank.models.sources import model_directory
from drank.models.weights import Checkpoint
from drank.runtime.device import prepare
from drank.runtime.files import write_json

options, compute = snakemake.params.search, snakemake.params.compute
device = prepare(compute, snakemake.threads)
directory = model_directory(snakemake.input.source)
tokens = read_tokens(snakemake.input.tokens)
windows = tokens.sample(options["length"], options["windows"], options["seed"])
model = load_model(directory, compute["dtype"], device)
perplexity = search(model, Checkpoint(directory), snakemake.input.spectra, windows, options["batch"])
write_json(snakemake.output[0], {"perplexity": perplexity, "facts": tokens.facts(options)})
