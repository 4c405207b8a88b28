"""Print one artefact: a table as CSV and LaTeX, or a figure as PDF and PNG, for all models or for each."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.allocation.plan import Plan
from drank.reporting.artefact import material_of, summary_of, write
from drank.reporting.records import read_records
from drank.runtime.files import read_json

told, files = snakemake.params.artefact, snakemake.input
records = read_records(files.records)
spectra = [read_json(path) for path in files.spectra]
material = material_of(
    told, summary_of(told, records), records, spectra, [Plan.read(path) for path in files.plans], **snakemake.params.paper
)
write(told, material, snakemake.output)
