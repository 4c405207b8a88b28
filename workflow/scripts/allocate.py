"""Allocate ranks to every group of a model for one method and ratio."""

from drank.runtime.log import start

start(snakemake.log[0])

from dataclasses import replace
from pathlib import Path

from drank.allocation.allocate import allocate
from drank.allocation.read_evidence import read_evidence
from drank.runtime.files import read_json, write_text

inputs, names, settings = snakemake.input, snakemake.wildcards, snakemake.params.settings
evidence = read_evidence(inputs.spectra, **{key: inputs.get(key) for key in ("slopes", "moments", "sensitivity")})
if inputs.get("choice"):
    settings = {**settings, "mix": read_json(inputs.choice)["mix"]}
plan = allocate(evidence, float(names.ratio), settings, model=names.model, method=names.method)
text = {}  # what was read on the way here, that of the search apart
for folder in (inputs.get("gradients"), inputs.get("moments")):
    text |= read_json(Path(folder) / "facts.json") if folder else {}
text |= read_json(Path(inputs.spectra) / "summary.json")["calibration"]
for searched in (inputs.get("sensitivity"), inputs.get("choice")):
    text |= {"search": read_json(searched)["facts"]} if searched else {}
plan = replace(plan, calibration=text)
write_text(snakemake.output[0], plan.to_json())
