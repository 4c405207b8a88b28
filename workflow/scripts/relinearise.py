"""Compress a model in steps, measure it again at each, and decompose the original weights under what the last step saw."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.compression.relinearise import relinearise
from drank.corpora.windows import read_tokens
from drank.models.sources import model_directory
from drank.runtime.device import prepare
from drank.runtime.files import read_json

params, inputs, names = snakemake.params, snakemake.input, dict(snakemake.wildcards.items())
device = prepare(params.compute, snakemake.threads)
calibration, settings = params.calibration, dict(params.settings)
windows = read_tokens(inputs.tokens).sample(calibration["length"], calibration["windows"], calibration["seed"])
recipe = {**{name: settings[name] for name in ("weighting", "labels", "group", "steps")}, "options": dict(params.options)}
relinearise(
    model_directory(inputs.source),
    snakemake.output[0],
    spectra=inputs.spectra,
    method=names["method"],
    settings=settings,
    **recipe,
    ratio=float(names["ratio"]),
    windows=windows[: calibration["gradient_windows"]],
    moments_windows=windows,
    batch=calibration["batch"],
    seed=calibration["seed"],
    dtype=params.compute["dtype"],
    device=device,
    facts={**names, **recipe, "calibration": read_json(f"{inputs.spectra}/summary.json")["calibration"]},
)
