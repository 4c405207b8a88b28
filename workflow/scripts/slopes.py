"""Slopes of every group of a model: how the loss changes, to first order, without one component."""

from drank.steplog import start

start(snakemake.log[0])

from drank.compute import prepare
from drank.slopes import slopes_of, write_slopes
from drank.sources import Checkpoint, model_directory

device = prepare(snakemake.params.compute, snakemake.threads)
checkpoint = Checkpoint(model_directory(snakemake.input.source))
write_slopes(snakemake.output[0], slopes_of(checkpoint, snakemake.input.spectra, snakemake.input.gradients, device))
