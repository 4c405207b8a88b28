"""Accumulate the moments of the inputs of every projection of a model over calibration text."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.calibration.moments import calibrate
from drank.corpora.windows import read_tokens
from drank.models.residency import open_skeleton
from drank.models.sources import model_directory
from drank.runtime.device import prepare
from drank.runtime.files import file_hash

options, compute = snakemake.params.calibration, snakemake.params.compute
device = prepare(compute, snakemake.threads)
tokens = read_tokens(snakemake.input.tokens)
windows = tokens.sample(options["length"], options["windows"], options["seed"])
model = open_skeleton(model_directory(snakemake.input.source), compute["dtype"], device)
facts = {**tokens.facts(options), "source_sha256": file_hash(snakemake.input.source)}
key = {"code": snakemake.params.code, "compute": compute}
calibrate(model, windows, snakemake.output[0], facts, options["batch"], key)
