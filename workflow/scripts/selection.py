"""Choose the mix of importance and loss at one ratio: the one that leaves the lowest perplexity on validation text."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.allocation.read_evidence import read_evidence
from drank.allocation.selection import best_mix, plans_by_mix
from drank.corpora.windows import read_tokens
from drank.evaluation.plan_trials import try_plans
from drank.models.checkpoint import load_model
from drank.models.sources import model_directory
from drank.models.weights import Checkpoint
from drank.runtime.device import prepare
from drank.runtime.files import write_json

options, params, inputs = snakemake.params.search, snakemake.params, snakemake.input
device = prepare(params.compute, snakemake.threads)
directory, ratio = model_directory(inputs.source), float(snakemake.wildcards.ratio)
evidence = read_evidence(inputs.spectra, **{key: inputs.get(key) for key in ("slopes", "moments", "sensitivity")})
tokens = read_tokens(inputs.tokens)
windows = tokens.sample(options["length"], options["windows"], options["seed"])
model = load_model(directory, params.compute["dtype"], device)
names = snakemake.wildcards
plans = plans_by_mix(evidence, ratio, params.settings, model=names.model, method=names.method)
perplexity = try_plans(model, Checkpoint(directory), inputs.spectra, plans, windows, options["batch"])
write_json(snakemake.output[0], {"mix": best_mix(perplexity), "perplexity": perplexity, "facts": tokens.facts(options)})
