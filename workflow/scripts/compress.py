"""Compress a model by a plan, refit, correct and fine-tune it where its method does, and save it as a Hugging Face model directory."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.steps.compress import run

inputs, params = snakemake.input, snakemake.params
run(
    snakemake.output[0],
    source=inputs.source,
    places=params.places,
    plan=inputs.plan,
    spectra=inputs.spectra,
    tokens=inputs.get("tokens"),
    finetune_tokens=inputs.get("finetune_tokens"),
    calibration=params.calibration,
    training=params.training,
    compute=params.compute,
    threads=snakemake.threads,
    code=params.code,
)
