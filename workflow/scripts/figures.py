"""Draw every figure as PDF and PNG."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.allocation.plan import Plan
from drank.reporting.figures import FIGURES, save
from drank.reporting.summary import read_csv
from drank.runtime.files import read_json

data = {
    "summary": read_csv(snakemake.input.summary),
    "spectra": [read_json(f"{path}/summary.json") for path in snakemake.input.spectra],
    "plans": [Plan.read(path) for path in snakemake.input.plans],
}
files = iter(snakemake.output)
for name in snakemake.params.names:
    drawing = FIGURES[name]
    save(drawing(data[drawing.source]), next(files), next(files))
