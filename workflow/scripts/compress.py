"""Compress a model by a plan, refit, correct and fine-tune it where its method does, and save it as a Hugging Face model directory."""

from drank.steps.log import start

start(snakemake.log[0])

from drank.allocation.plan import Plan
from drank.compression.compensation import compensate
from drank.compression.correction import correct
from drank.compression.factors import factors_of
from drank.compression.finetune import finetune
from drank.compression.refit import refit
from drank.corpora.windows import read_tokens
from drank.models.checkpoint import load_model, load_tokenizer, save
from drank.models.lowrank import convert
from drank.models.residency import open_skeleton
from drank.models.sources import model_directory
from drank.models.weights import Checkpoint
from drank.steps.device import prepare

params, inputs = snakemake.params, snakemake.input
device = prepare(params.compute, snakemake.threads)
directory, dtype = model_directory(inputs.source), params.compute["dtype"]
plan, checkpoint = Plan.read(inputs.plan), Checkpoint(directory)
model = load_model(directory, dtype, device)
convert(model, plan.groups, factors_of(checkpoint, plan, inputs.spectra))
if (options := params.calibration) is not None:
    windows = read_tokens(inputs.tokens).sample(options["length"], options["windows"], options["seed"])
    if params.order == "compensated":
        compensate(model, open_skeleton(directory, dtype, device), plan, inputs.spectra, windows, options["batch"], params.share)
    elif params.order is not None:
        refit(model, checkpoint, windows, options["batch"], params.order)
    if params.corrections:
        correct(model, open_skeleton(directory, dtype, device), windows, params.corrections, options["batch"])
if (options := params.finetune) is not None:
    windows = read_tokens(inputs.finetune_tokens).sample(options["length"], options["windows"], options["seed"])
    model = finetune(model, windows, options)
save(model, load_tokenizer(directory), plan.groups, snakemake.output[0], documents={"plan.json": plan.to_json()})
