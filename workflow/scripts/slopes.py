"""Slopes of every group of a model: how the loss changes, to first order, without one component."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.models.sources import model_directory
from drank.models.weights import Checkpoint
from drank.runtime.device import prepare
from drank.spectra.slopes import slopes_of, write_slopes

device = prepare(snakemake.params.compute, snakemake.threads)
checkpoint = Checkpoint(model_directory(snakemake.input.source))
write_slopes(snakemake.output[0], slopes_of(checkpoint, snakemake.input.spectra, snakemake.input.gradients, device))
