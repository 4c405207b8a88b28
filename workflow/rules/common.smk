import os
import re
from functools import cache
from pathlib import Path

from snakemake.jobs import Job
from snakemake.logging import logger
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.utils import update_config

from drank.runtime.belonging import belong
from drank.runtime.codehash import code_of
from drank.runtime.content import KEPT
from drank.runtime.gpus import gpus_for, take
from drank.runtime.metadata import keep_notes
from drank.runtime.provenance import memory
from drank.runtime.orphans import spare_results
from drank.runtime.rescheduling import look_again_once
from drank.runtime.unchanged import leave_out_unchanged
from drank.corpora import identity_of as identity_of_corpus, listed
from drank.corpora.installed import package_versions
from drank.config import ConfigError, calibration_options, check, gradient_options, read_config, read_schema, refusals_for, shards_of, with_beginnings, with_defaults
from drank.config.amounts import little_text
from drank.config.artefacts import Runs
from drank.config.chain import Chain, texts_of, tokens_at
from drank.config.measurable import split_of
from drank.config.method_entries import method_of
from drank.config.paths import rooted, without_paths
from drank.config.resolved import perplexity_options
from drank.config.seen import texts_read
from drank.calibration.passes import PASSES, WINDOWS
from drank.methods import outputs_read
from drank.models.documents import CARD, NUMBERS
from drank.models.shapes import is_shape
from drank.models.sources import identity_of, local_files_of
from drank.reporting.layouts import KINDS
from drank.reporting.names import refusals
from drank.variants import base_of
from drank.evaluation.zeroshot import files_of
from drank.evaluation.zeroshot.contents import content_of

HERE = Path(workflow.basedir)

PARTS = "results/parts/"
os.environ[KEPT] = str(Path(".snakemake/drank.contents.json").resolve())
keep_notes("results", aside=(CARD, NUMBERS), parts=PARTS)
leave_out_unchanged(JobScheduler)
look_again_once(JobScheduler)
if not workflow.is_main_process:
    belong()
    spare_results(Job)

# Read again, since what Snakemake has merged no longer tells at which folder a path starts, nor which key was given twice.
config = {}
for file in workflow.configfiles:
    update_config(config, rooted(read_config(file), Path(file).parent, Path.cwd()))
update_config(config, rooted(workflow.config_settings.config, Path.cwd(), Path.cwd()))
config = with_defaults(config, read_schema(HERE / "workflow/schemas/config.schema.yaml"))
if workflow.is_main_process:
    check(config, Path.cwd())
    for model in config["models"]:
        for label, reason in refusals_for(config, model).items():
            logger.warning(f"{model}: {label} does not apply and is left out: {reason}")


RUNS = Runs(config)
METHODS = RUNS.methods
if workflow.is_main_process:
    for line in little_text(config, RUNS):
        logger.warning(line)
READ = {model: with_beginnings(config, model) for model in config["models"]}  # the configuration as each model reads it
REFUSED = {model: refusals_for(config, model) for model in config["models"]}
CALIBRATIONS = {method.calibrated: method.calibration for methods in METHODS.values() for method in methods.values()} | {"": None}
PLACES = {model: {key: value for key, value in source.items() if key != "methods"} for model, source in config["models"].items()} | {
    f"{model}/{label}": method.checkpoint for model, methods in METHODS.items() for label, method in methods.items() if method.checkpoint
}
SHAPES = [model for model, source in PLACES.items() if is_shape(source)]
DENSE = method_of("dense", {}).settings()
DOCS = next((n for n, source in config["corpora"].items() if source.get("embedded") == "python-docs"), "embedded-python-docs")
SUBMITTED = workflow.resource_settings.nodes is not None  # to a cluster's scheduler, job by job
ALL_CORES = workflow.resource_settings.cores or config["compute"]["threads"]
if SUBMITTED and config["compute"]["device"].startswith("cuda") and not config["compute"]["gpus"]:
    raise ConfigError(["compute.device is a GPU, and compute.gpus asks the cluster for none; set gpus: 1"])
HERE_ALONE = not (SUBMITTED or workflow.remote_exec)
GPUS = gpus_for(config["compute"]["device"]) if HERE_ALONE else []
if GPUS:  # jobs that would all take the first one of them take turns instead, each with one of its own
    config["compute"]["gpus"] = max(1, config["compute"]["gpus"])
COMPUTE = {key: config["compute"][key] for key in ("device", "dtype")}  # what can change a result; the rest is for the scheduler
SHOWN = without_paths({**config, "compute": COMPUTE})  # what of the configuration a report hangs on
KINDS_OF = {cell: tuple(kind for kind in ("perplexity", "zeroshot") if mine[kind]) for cell, mine in RUNS.wanted.items()}
MEASURED_TOGETHER = sorted({kinds for kinds in KINDS_OF.values() if kinds}, key=lambda kinds: (-len(kinds), kinds))
CORPORA = config["corpora"] | {DOCS: config["corpora"].get(DOCS, {"embedded": "python-docs"})}


def growing(amount):
    """A resource that a job is given twice as much of when it is tried again: one that ran out of it is killed, and would be again."""
    return lambda wildcards, attempt: amount * attempt


# What a job asks for that runs a model, that reads a whole text, and that does neither. Texts: measured, 5 bytes for each byte read and 180
# for each character tokenised. `preparing` is what small jobs have of their own, so that those of a group take turns in the room of one.
MODEL_JOB = {
    "mem_mb": growing(config["compute"]["memory_mb"]),
    "gpu": config["compute"]["gpus"],
    "runtime": growing(config["compute"]["minutes"]),
}
TEXT_JOB = {"mem_mb": growing(8000), "runtime": growing(10), "preparing": 1}
SMALL_JOB = {"mem_mb": growing(2000), "runtime": growing(10), "preparing": 1}
FIRST = 10**6  # the priority of what takes seconds and may end a run: what it reads, and whether texts overlap


resource_scopes:
    preparing="local",


if SUBMITTED or not workflow.is_main_process:
    workflow.global_resources["preparing"] = 1
else:
    if "gpu" not in workflow.global_resources:
        workflow.global_resources["gpu"] = max(1, len(GPUS))
    if "mem_mb" not in workflow.global_resources:  # or as many jobs as cores would start, whatever they take
        workflow.global_resources["mem_mb"] = memory() // 10**6


def passing(output):
    """What is read on the way to models and never after: gone with its last reader, unless the run keeps all."""
    return output if config["keep"] == "all" else temp(output)


def made(folder):
    """A folder of weights that is measured: gone with the last measurement, where the run keeps nothing."""
    return temp(directory(folder)) if config["keep"] == "nothing" else directory(folder)


def either(names):
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True))


wildcard_constraints:
    model=either(config["models"]),
    method=either({label for methods in METHODS.values() for label in methods}),
    ratio=either({ratio for _, _, ratio in RUNS.wanted}),
    calibrated=f"(?:{either(CALIBRATIONS)})",  # of the run itself: nothing
    corpus=either(CORPORA),
    split="[A-Za-z0-9_]+",
    text=f"(?:{either(CORPORA)})[.][A-Za-z0-9_]+",
    read=f"(?:{either(CORPORA)})[.][A-Za-z0-9_]+",
    task=either(config["tasks"] or ["none"]),
    labels=either(PASSES),
    spectrum=either(method.spectrum for methods in METHODS.values() for method in methods.values()),
