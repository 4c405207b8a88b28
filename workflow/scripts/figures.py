"""Draw every figure as PDF and PNG."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.allocation.plan import Plan
from drank.reporting.figures import FIGURES, save
from drank.reporting.material import Material
from drank.reporting.summary import read_csv
from drank.runtime.files import read_json

summary = read_csv(snakemake.input.summary)
spectra = [read_json(f"{path}/summary.json") for path in snakemake.input.spectra]
plans = [Plan.read(path) for path in snakemake.input.plans]
files = iter(snakemake.output)
for name in snakemake.params.names:
    material = Material(name, summary.assign(label=summary["method"]), spectra=spectra, plans=plans)
    save(FIGURES[name].draw(material, "page"), next(files), next(files))
