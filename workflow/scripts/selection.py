"""Choose the mix of importance and loss at one ratio: the one that leaves the lowest perplexity on validation text."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.allocation.read_evidence import FILES
from drank.steps.selection import run

inputs, params = snakemake.input, snakemake.params
run(
    snakemake.output[0],
    names=dict(snakemake.wildcards.items()),
    source=inputs.source,
    places=params.places,
    tokens=inputs.tokens,
    evidence={name: path for name, path in inputs.items() if name in FILES},
    settings=params.settings,
    search=params.search,
    compute=params.compute,
    threads=snakemake.threads,
)
