"""Compress a model by a plan, refit, correct and fine-tune it where its method does, and save it as a Hugging Face model directory."""

from drank.runtime.log import start

start(snakemake.log[0])

from drank.allocation.plan import Plan
from drank.compression.compensation import compensate
from drank.compression.correction import correct
from drank.compression.factors import factors_of
from drank.compression.finetune import finetune
from drank.compression.making import Making
from drank.compression.refit import refit
from drank.corpora.windows import read_tokens
from drank.models.checkpoint import load_model, load_tokenizer, save
from drank.models.lowrank import convert
from drank.models.residency import open_skeleton
from drank.models.sources import model_directory
from drank.models.weights import Checkpoint
from drank.runtime.device import prepare
from drank.runtime.files import read_json

params, inputs = snakemake.params, snakemake.input
device = prepare(params.compute, snakemake.threads)
directory, dtype = model_directory(inputs.source), params.compute["dtype"]
plan, checkpoint = Plan.read(inputs.plan), Checkpoint(directory)
settings, making = plan.settings, Making(plan, device, snakemake.threads, read_json(inputs.source))
model = load_model(directory, dtype, device)
with making.stage("factors"):
    convert(model, plan.groups, factors_of(checkpoint, plan, inputs.spectra))
if (options := params.calibration) is not None:
    tokens = read_tokens(inputs.tokens)
    windows, text = tokens.sample(options["length"], options["windows"], options["seed"]), tokens.facts(options)
    if settings["refit_from"] is not None:
        with making.stage("refit", text):
            if settings["refit"] == "compensated":
                dense = open_skeleton(directory, dtype, device)
                compensate(model, dense, plan, inputs.spectra, windows, options["batch"], settings["compensation"])
                del dense  # corrections open one of their own
            else:
                refit(model, checkpoint, windows, options["batch"], settings["refit"])
    if settings["corrections"]:
        with making.stage("corrections", text):
            correct(model, open_skeleton(directory, dtype, device), windows, settings["corrections"], options["batch"])
if (options := params.finetune) is not None:
    tokens = read_tokens(inputs.finetune_tokens)
    windows = tokens.sample(options["length"], options["windows"], options["seed"])
    with making.stage("finetune", tokens.facts(options)):
        model = finetune(model, windows, options)
save(model, load_tokenizer(directory), plan.groups, snakemake.output[0], documents=making.documents)
