"""Write the manuscript of the run, and the file of all numbers that a text may quote."""

from drank.runtime.log import start

start(snakemake.log[0])

from pathlib import Path

from drank.allocation.plan import Plan
from drank.reporting.artefact import exhibit_of, material_of, of_configured_draws, summary_of
from drank.reporting.figures.sheet import caption_in
from drank.reporting.manuscript import macros, manuscript
from drank.reporting.records import read_records
from drank.reporting.report.checks import checks
from drank.reporting.summary import read_csv
from drank.reporting.tables.numbers import per_model
from drank.runtime.files import read_json, write_text

inputs, params = snakemake.input, snakemake.params
summary, records = of_configured_draws(read_csv(inputs.summary), params.artefacts.values()), read_records(inputs.records)
plans, spectra = [Plan.read(path) for path in inputs.plans], [read_json(path) for path in inputs.spectra]
made = [(told, material_of(told, summary_of(told, records), records, spectra, plans, **params.paper)) for told in params.artefacts.values()]
write_text(snakemake.output.numbers, macros({material.name: material for _, material in made}))
captions = {Path(path).stem: caption_in(path) for path in inputs.pictures}
exhibits = [exhibit_of(told, material, captions) for told, material in made]
write_text(snakemake.output.text, manuscript(exhibits, summary, records, checks(list(per_model(summary)), records), params.refused))
