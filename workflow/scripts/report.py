"""Write the report of the whole run as one page."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.allocation.plan import Plan
from drank.reporting.figures import caption_in
from drank.reporting.names import refusals
from drank.reporting.records import read_records
from drank.reporting.report import render, verdict
from drank.reporting.summary import read_csv
from drank.reporting.tables import TABLES
from drank.runtime.files import write_text

summary = read_csv(snakemake.input.summary)
config = snakemake.params.config
notes = {model: refusals(reasons) for model, reasons in snakemake.params.refused.items()}
tables = [TABLES[name](summary, model).noted(note) for model, note in notes.items() for name in snakemake.params.names]
pictures = {path: caption_in(path) for path in snakemake.input.figures}
plans = [Plan.read(path) for path in snakemake.input.plans]
records = read_records(snakemake.input.records)
write_text(snakemake.output.page, render(summary, tables, pictures, plans, records, config, snakemake.params.chains))
write_text(snakemake.output.verdict, "".join(f"{line}\n" for line in verdict(summary)))
