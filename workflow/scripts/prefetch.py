"""Fetch what the configuration names on the hubs, on a machine that has a network."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.config.prefetch import prefetch_alone

prefetch_alone(snakemake.params.config)
