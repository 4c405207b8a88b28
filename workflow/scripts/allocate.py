"""Allocate ranks to every group of a model for one method and ratio."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.allocation.read_evidence import FILES
from drank.steps.allocate import run

inputs = snakemake.input
run(
    snakemake.output[0],
    names=dict(snakemake.wildcards.items()),
    evidence={name: path for name, path in inputs.items() if name in FILES},
    settings=snakemake.params.settings,
    gradients=inputs.get("gradients"),
    choice=inputs.get("choice"),
    source=inputs.get("source"),
    places=snakemake.params.places,
    given=next(iter(inputs.given), None),
)
