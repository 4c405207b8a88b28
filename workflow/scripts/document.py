"""Write a LaTeX document that holds all tables and figures."""

from drank.runtime.log import start

start(snakemake.log[0])

from pathlib import Path

from drank.reporting.figures.captions import caption_of
from drank.reporting.tables.document import document
from drank.runtime.files import write_text

folder = Path(snakemake.output[0]).parent
tables, paths = (
    [Path(path).relative_to(folder).as_posix() for path in given] for given in (snakemake.input.tables, snakemake.input.figures)
)
captions = {path: caption_of(name, snakemake.params.theirs) for name, path in zip(snakemake.params.figures, paths, strict=True)}
write_text(snakemake.output[0], document(tables, captions))
