"""Write a LaTeX document that holds all tables and figures."""

from drank.runtime.log import start

start(snakemake.log[0])

from pathlib import Path

from drank.reporting.tables.document import document
from drank.runtime.files import write_text

folder = Path(snakemake.output[0]).parent
paths = [Path(path).relative_to(folder).as_posix() for path in snakemake.input]
tables = [path for path in paths if path.endswith(".tex") and not path.endswith(".tabular.tex")]
write_text(snakemake.output[0], document(tables, {path: "" for path in paths if path.endswith(".pdf")}))
