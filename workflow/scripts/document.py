"""Write a LaTeX document that holds all tables and figures."""

from drank.runtime.log import start

start(snakemake.log[0])

from pathlib import Path

from drank.reporting.figures import caption_in
from drank.reporting.tables.document import document
from drank.runtime.files import write_text

folder = Path(snakemake.output[0]).parent
tables, paths = (
    [Path(path).relative_to(folder).as_posix() for path in given] for given in (snakemake.input.tables, snakemake.input.figures)
)
captions = {path: caption_in((folder / path).with_suffix(".png")) for path in paths}  # the rule of figures makes both
write_text(snakemake.output[0], document(tables, captions))
