import os
import re
from pathlib import Path

from snakemake.jobs import Job
from snakemake.logging import logger
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.utils import update_config

from drank.runtime.belonging import belong
from drank.runtime.codehash import code_of
from drank.runtime.content import KEPT
from drank.runtime.metadata import keep_notes
from drank.runtime.orphans import spare_results
from drank.runtime.unchanged import leave_out_unchanged
from drank.corpora import identity_of as identity_of_corpus, listed
from drank.corpora.installed import package_versions
from drank.config import check, gradient_options, methods_for, ratios_of, read_config, read_schema, refusals_for, shards_of, with_defaults
from drank.config.chain import Chain, texts_of, tokens_at
from drank.config.method_entries import method_of
from drank.config.paths import rooted, without_paths
from drank.calibration.losses import LABELS
from drank.models.documents import CARD, NUMBERS
from drank.models.sources import identity_of, local_files_of
from drank.evaluation.zeroshot import files_of

HERE = Path(workflow.basedir)

PARTS = "results/parts/"
os.environ[KEPT] = str(Path(".snakemake/drank.contents.json").resolve())
keep_notes("results", aside=(CARD, NUMBERS), parts=PARTS)
leave_out_unchanged(JobScheduler)
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


METHODS = {model: methods_for(config, model) for model in config["models"]}
REFUSED = {model: refusals_for(config, model) for model in config["models"]}
TEXTS, GRADIENTS = texts_of(config), {labels: gradient_options(config, labels) for labels in LABELS}
PLACES = {model: {key: value for key, value in source.items() if key != "methods"} for model, source in config["models"].items()} | {
    f"{model}/{label}": method.checkpoint for model, methods in METHODS.items() for label, method in methods.items() if method.checkpoint
}
DENSE = method_of("dense", {}).settings()
DOCS = next((n for n, source in config["corpora"].items() if source.get("embedded") == "python-docs"), "embedded-python-docs")
SUBMITTED = workflow.resource_settings.nodes is not None  # to a cluster's scheduler, job by job
ALL_CORES = workflow.resource_settings.cores or config["compute"]["threads"]
COMPUTE = {key: config["compute"][key] for key in ("device", "dtype")}  # what can change a result; the rest is for the scheduler
SHOWN = without_paths({**config, "compute": COMPUTE})  # what of the configuration a report hangs on
TASKS = {task: config["tasks"][task] for task in config["zeroshot"]["tasks"]}
EMBEDDED_TASKS = [task for task, source in TASKS.items() if "embedded" in source]
EVALUATIONS = [*(["perplexity"] if config["perplexity"]["corpora"] else []), *(["zeroshot"] if TASKS else [])]
TIMED = ["throughput"] if "throughput" in config else []
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


resource_scopes:
    preparing="local",


if SUBMITTED or not workflow.is_main_process:
    workflow.global_resources["preparing"] = 1
elif "gpu" not in workflow.global_resources:
    workflow.global_resources["gpu"] = 1  # here, jobs that ask for a GPU take turns; on a machine with more: --resources gpu=4


def either(names):
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True))


wildcard_constraints:
    model=either(config["models"]),
    method=either(config["methods"]),
    ratio=either(f"{ratio:g}" for ratio in [0, *config["ratios"]]),
    corpus=either(CORPORA),
    split="[A-Za-z0-9_]+",
    task=either(config["tasks"] or ["none"]),
    labels=either(LABELS),
    spectrum=either(method.spectrum for methods in METHODS.values() for method in methods.values()),


def code(script, *files):
    """A hash of what a script runs, its own code and drank's, and of other files of drank that it reads."""
    return code_of(HERE / "workflow/scripts" / script, *files)


def cells(model, *methods):
    """Method and ratio of every model a run makes out of one, as they stand in paths; of the named methods, or of all."""
    for label, method in METHODS[model].items():
        for ratio in ratios_of(config, method):
            if not methods or label in methods:
                yield label, f"{ratio:g}"


def results_of(kind):
    """The records of one kind for all models, methods and ratios."""
    return [f"results/{kind}/{model}/{method}/{ratio}.json" for model in METHODS for method, ratio in cells(model)]


def timings():
    """The folders with the throughput records of all models, one for each ratio."""
    return list(dict.fromkeys(f"results/throughput/{model}/{ratio}" for model in METHODS for _, ratio in cells(model)))


def method_of_job(wildcards):
    return METHODS[wildcards.model][wildcards.method]


def chain_at(model, method, ratio):
    """The way to one model: where its files lie, and which of them each step reads."""
    return Chain(model, method, METHODS[model][method], ratio, TEXTS)


def chain_of_job(wildcards):
    return chain_at(wildcards.model, wildcards.method, wildcards.ratio)


def chain_to_spectrum(wildcards):
    """The way of a method that reads this spectrum, gradients and all; those that do agree in what makes it and what is read beside it."""
    readers = {label: method for label, method in METHODS[wildcards.model].items() if method.spectrum == wildcards.spectrum}
    return chain_at(wildcards.model, next((label for label, method in readers.items() if method.reads_gradients), next(iter(readers))), "0")


def methods_at(wildcards):
    """The methods that make a model out of this one at this ratio."""
    return [method for method, ratio in cells(wildcards.model) if ratio == wildcards.ratio]


def settings_of(method):
    """What a record tells of a method, the same wherever a checkpoint lies, which the record tells as it was found."""
    named = {key: value for key, value in (method.checkpoint or {}).items() if key != "path"}
    return method.settings() | ({"checkpoint": named} if method.checkpoint else {})


def theirs_at(wildcards):
    """What records say of somebody else's checkpoints that are measured beside this model at this ratio, by method."""
    methods = {method: METHODS[wildcards.model][method] for method in methods_at(wildcards)}
    return {label: settings_of(method) for label, method in methods.items() if method.checkpoint}


def places(wildcards, input):
    """Where the models of the run lie; a function of the input, so that Snakemake does not compare it: a model that moves is the same."""
    return PLACES


def pieces_of_job(wildcards, input):
    """Where a job keeps what it measured: in no output, so that it is there when the job runs again; nowhere if results are in storage."""
    stored = workflow.storage_settings.default_storage_provider is not None
    return None if stored else f"results/measured/{wildcards.model}/{wildcards.method}/{wildcards.ratio}"


def here(paths):
    """What a user gave: on this machine, wherever a run keeps its results (`--default-storage-provider`)."""
    return [local(path) for path in paths]


def local_files(wildcards):
    """The files of a corpus that lie on this machine, so that an edited text is read again."""
    return here(path for paths in CORPORA[wildcards.corpus].get("files", {}).values() for path in listed(paths))


def model_files(wildcards):
    """The files of a model that lie on this machine, so that other weights under the same name are noticed."""
    return here(local_files_of(config["models"][wildcards.model]))


def spectrum_shown(model):
    """The spectrum whose effective ranks a figure shows: the one that D-Rank reads, or else the last of a method that compresses."""
    compressing = [method for method in METHODS[model].values() if method.compresses]
    by_rank = [method for method in compressing if method.allocator == "effective-rank"]
    return [f"results/spectra/{model}/{method.spectrum}" for method in (by_rank or compressing)[:1]]
