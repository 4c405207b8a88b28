"""Accumulate the moments of the inputs of every projection of a model over calibration text."""

from drank.steplog import start

start(snakemake.log[0])

from drank.checkpoint import load_model
from drank.compute import prepare
from drank.corpora.windows import read_tokens
from drank.files import file_hash
from drank.moments import calibrate, write_moments
from drank.sources import model_directory

options, compute = snakemake.params.calibration, snakemake.params.compute
device = prepare(compute, snakemake.threads)
tokens = read_tokens(snakemake.input.tokens)
windows = tokens.sample(options["length"], options["windows"], options["seed"])
model = load_model(model_directory(snakemake.input.source), compute["dtype"], device)
hashes = {"text_sha256": tokens.text_sha256, "tokens_sha256": tokens.ids_sha256, "source_sha256": file_hash(snakemake.input.source)}
facts = {**options, **hashes}
write_moments(snakemake.output[0], calibrate(model, windows, options["batch"]), facts)
