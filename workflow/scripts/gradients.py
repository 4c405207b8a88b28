"""Differentiate the loss on calibration text with respect to every projection of a model."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.calibration.gradients import collect
from drank.corpora.windows import read_tokens
from drank.models.residency import open_skeleton
from drank.models.sources import model_directory
from drank.runtime.device import prepare
from drank.runtime.files import file_hash

options, compute, labels = snakemake.params.calibration, snakemake.params.compute, snakemake.wildcards.labels
device = prepare(compute, snakemake.threads)
tokens = read_tokens(snakemake.input.tokens)
windows = tokens.sample(options["length"], options["windows"], options["seed"])[: options["gradient_windows"]]
model = open_skeleton(model_directory(snakemake.input.source), compute["dtype"], device)
facts = {**tokens.facts(options), "source_sha256": file_hash(snakemake.input.source)}
key = {"code": snakemake.params.code, "compute": compute}
collect(model, windows, snakemake.output[0], {**facts, "labels": labels}, options["batch"], key, labels=labels, seed=options["seed"])
