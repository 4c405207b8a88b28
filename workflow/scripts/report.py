"""Write the report of the whole run as one page."""

from drank.runtime.log import start

start(snakemake.log[0])

from pathlib import Path

from drank.allocation.plan import Plan
from drank.reporting.artefact import findings_of, material_of, of_configured_draws, summary_of, tables_of
from drank.reporting.figures.sheet import caption_in
from drank.reporting.records import read_records
from drank.reporting.report import render, verdict
from drank.reporting.report.links import Links, here
from drank.reporting.summary import read_csv
from drank.runtime.files import read_json, write_text

inputs, params = snakemake.input, snakemake.params
summary = of_configured_draws(read_csv(inputs.summary), params.artefacts.values())
plans, records = [Plan.read(path) for path in inputs.plans], read_records(inputs.records)
spectra = [read_json(path) for path in inputs.spectra]
made = [(told, material_of(told, summary_of(told, records), records, spectra, plans, **params.paper)) for told in params.artefacts.values()]
tables = [table for told, material in made for table in tables_of(told, material)]
findings = [line for told, material in made for line in findings_of(told, material)]
pictures = {path: caption_in(path) for path in inputs.pictures}
links = Links(here(params.files), {Path(path).stem: path for path in params.csv})
told = {"chains": params.chains, "findings": findings}
page = render(summary, tables, pictures, plans, records, params.config, links=links, timings=params.timings, **told)
write_text(snakemake.output.page, page)
write_text(snakemake.output.verdict, "".join(f"{line}\n" for line in verdict(summary, records, **told)))
