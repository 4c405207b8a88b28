"""Write a LaTeX document that holds all tables and figures."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.reporting.figures.captions import caption_of
from drank.reporting.tables.document import document
from drank.runtime.files import write_text

tables = [path.removeprefix("results/") for path in snakemake.input.tables]
paths = [path.removeprefix("results/") for path in snakemake.input.figures]
captions = {path: caption_of(name, snakemake.params.theirs) for name, path in zip(snakemake.params.figures, paths, strict=True)}
write_text(snakemake.output[0], document(tables, captions))
