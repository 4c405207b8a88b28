"""Compress a model in steps, measure it again at each, and decompose the original weights under what the last step saw."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.relinearise import run

inputs, params = snakemake.input, snakemake.params
run(
    snakemake.output[0],
    names=dict(snakemake.wildcards.items()),
    source=inputs.source,
    places=params.places,
    spectra=inputs.spectra,
    tokens=inputs.tokens,
    settings=params.settings,
    options=params.options,
    calibration=params.calibration,
    compute=params.compute,
    threads=snakemake.threads,
    code=params.code,
)
