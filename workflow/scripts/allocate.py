"""Allocate ranks to every group of a model for one method and ratio."""

from drank.steplog import start

start(snakemake.log[0])

from dataclasses import replace

from drank.allocators import allocate
from drank.files import read_json, write_text
from drank.spectra import read_summary

shapes, density = read_summary(snakemake.input.summary)
names = snakemake.wildcards
plan = allocate(shapes, density, float(names.ratio), snakemake.params.settings, model=names.model, method=names.method)
plan = replace(plan, calibration=read_json(snakemake.input.summary)["calibration"])
write_text(snakemake.output[0], plan.to_json())
