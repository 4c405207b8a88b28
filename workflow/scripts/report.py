"""Write the report of the whole run as one page."""

from drank.steplog import start

start(snakemake.log[0])

from drank.figures import FIGURES
from drank.files import write_text
from drank.names import refusals
from drank.plan import Plan
from drank.records import read_records
from drank.report import render
from drank.summary import read_csv
from drank.tables import TABLES

summary = read_csv(snakemake.input.summary)
config = snakemake.params.config
notes = {model: refusals(reasons) for model, reasons in snakemake.params.refused.items()}
tables = [TABLES[name](summary, model).noted(note) for model, note in notes.items() for name in snakemake.params.names]
pictures = {path: FIGURES[name].caption for name, path in zip(snakemake.params.figures, snakemake.input.figures, strict=True)}
plans = [Plan.read(path) for path in snakemake.input.plans]
records = read_records(snakemake.input.records)
write_text(snakemake.output[0], render(summary, tables, pictures, plans, records, config))
