"""Write the manuscript of the run, and the file of all numbers that a text may quote."""

from drank.runtime.log import start

start(snakemake.log[0])

from pathlib import Path

from drank.allocation.plan import Plan
from drank.reporting.figures.captions import caption_of
from drank.reporting.manuscript import Exhibit, macros, manuscript
from drank.reporting.material import Material
from drank.reporting.names import refusals
from drank.reporting.records import read_records
from drank.reporting.report.checks import checks
from drank.reporting.summary import read_csv
from drank.reporting.tables import TABLES
from drank.reporting.tables.numbers import per_model
from drank.runtime.files import read_json, write_text
from drank.variants import base_of

SHOWN = {"effective_rank": "effective_rank", "ranks": "rank", "throughput": "speedup_over_dense"}
"""What figures show whose names are no metrics."""

folder = Path(snakemake.output.text).parent
summary, refused = read_csv(snakemake.input.summary), snakemake.params.refused
numbers = summary.rename(columns={"method": "label"}).assign(method=summary["method"].map(base_of))
plans = [Plan.read(path) for path in snakemake.input.plans]
run = Material("run", numbers, spectra=[read_json(f"{path}/summary.json") for path in snakemake.input.spectra], plans=plans)
exhibits = [
    Exhibit("run", f"tables/{name}-{model}.tex", run.of(model), [TABLES[name](summary, model).noted(refusals(reasons))])
    for model, reasons in refused.items()
    for name in snakemake.params.names
]
for name, path in zip(snakemake.params.figures, snakemake.input.figures, strict=True):
    caption, drawn = caption_of(name, snakemake.params.theirs), Path(path).relative_to(folder).as_posix()
    exhibits.append(Exhibit("run", drawn, run, caption=caption, width="page", quantities=[SHOWN.get(name, name)]))
write_text(snakemake.output.numbers, macros({"run": run}))
text = manuscript(exhibits, summary, read_records(snakemake.input.records), checks(list(per_model(summary))), refused)
write_text(snakemake.output.text, text)
