"""Accumulate the moments of the inputs of every projection of a model over calibration text."""

from drank.steplog import start

start(snakemake.log[0])

from drank.checkpoint import load_source
from drank.compute import prepare
from drank.corpora.windows import read_tokens
from drank.moments import calibrate, write_moments

options, compute = snakemake.params.calibration, snakemake.params.compute
device = prepare(compute, snakemake.threads)
tokens = read_tokens(snakemake.input.tokens)
windows = tokens.sample(options["length"], options["windows"], options["seed"])
model = load_source(snakemake.input.source, compute["dtype"], device)
facts = {"calibration": options, "text_sha256": tokens.text_sha256, "ids_sha256": tokens.ids_sha256}
write_moments(snakemake.output[0], calibrate(model, windows, options["batch"]), facts)
