"""Write every table of every model as CSV and LaTeX."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.reporting.names import refusals
from drank.reporting.summary import read_csv
from drank.reporting.tables import TABLES, write

summary = read_csv(snakemake.input[0])
files = iter(path for path in snakemake.output if path.endswith(".tex") and not path.endswith(".tabular.tex"))
for name in snakemake.params.names:
    for model, reasons in snakemake.params.refused.items():
        write([TABLES[name](summary, model).noted(refusals(reasons))], next(files))
