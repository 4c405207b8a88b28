"""Run the dense model on windows that a calibration read and on others that it did not, which the loss of others is compared with."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.overfitting import run

inputs, params = snakemake.input, snakemake.params
what = {"source": inputs.source, "places": params.places, "tokens": inputs.tokens, "calibration": params.calibration}
run(snakemake.output[0], **what, windows=params.windows, compute=params.compute, threads=snakemake.threads)
