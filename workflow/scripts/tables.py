"""Write every table of every model as CSV and LaTeX."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.reporting.names import refusals
from drank.reporting.summary import read_csv
from drank.reporting.tables import TABLES, write

summary = read_csv(snakemake.input[0])
for name in snakemake.params.names:
    for model, reasons in snakemake.params.refused.items():
        stem = f"results/tables/{name}-{model}"
        write(TABLES[name](summary, model).noted(refusals(reasons)), f"{stem}.csv", f"{stem}.tex")
