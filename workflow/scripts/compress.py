"""Compress a model by a plan, refit and fine-tune it where its method does, and save it as a Hugging Face model directory."""

from drank.steplog import start

start(snakemake.log[0])

from drank.checkpoint import load_model, load_tokenizer, save
from drank.compute import prepare
from drank.corpora.windows import read_tokens
from drank.factors import factors_of, refit
from drank.finetune import finetune
from drank.lowrank import convert
from drank.plan import Plan
from drank.sources import Checkpoint, model_directory

params, inputs = snakemake.params, snakemake.input
device = prepare(params.compute, snakemake.threads)
directory = model_directory(inputs.source)
plan, checkpoint = Plan.read(inputs.plan), Checkpoint(directory)
model = load_model(directory, params.compute["dtype"], device)
convert(model, plan, factors_of(checkpoint, plan, inputs.spectra))
if (options := params.calibration) is not None:
    windows = read_tokens(inputs.tokens).sample(options["length"], options["windows"], options["seed"])
    refit(model, checkpoint, windows, options["batch"], params.order)
if (options := params.finetune) is not None:
    windows = read_tokens(inputs.finetune_tokens).sample(options["length"], options["windows"], options["seed"])
    model = finetune(model, windows, options)
save(model, load_tokenizer(directory), plan, snakemake.output[0])
