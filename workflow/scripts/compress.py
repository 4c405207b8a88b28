"""Compress a model by a plan and save it as a Hugging Face model directory."""

from drank.steplog import start

start(snakemake.log[0])

from drank.checkpoint import load_model, load_tokenizer, save
from drank.compute import prepare
from drank.corpora.windows import read_tokens
from drank.factors import factors_of, refit
from drank.lowrank import convert
from drank.plan import Plan
from drank.sources import Checkpoint, model_directory

options, compute = snakemake.params.calibration, snakemake.params.compute
device = prepare(compute, snakemake.threads)
directory = model_directory(snakemake.input.source)
plan, checkpoint = Plan.read(snakemake.input.plan), Checkpoint(directory)
model = load_model(directory, compute["dtype"], device)
convert(model, plan, factors_of(checkpoint, plan, snakemake.input.spectra))
if options is not None:
    windows = read_tokens(snakemake.input.tokens[0]).sample(options["length"], options["windows"], options["seed"])
    refit(model, checkpoint, windows, options["batch"])
save(model, load_tokenizer(directory), plan, snakemake.output[0])
