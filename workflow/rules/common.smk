import re
from pathlib import Path

from drank.codehash import code_of, imports_of
from drank.corpora.docstrings import package_versions
from drank.config import check, methods_for, read_schema, with_defaults
from drank.running import claim
from drank.sources import local_files_of
from drank.zeroshot import files_of

HERE = Path(workflow.basedir)

config = with_defaults(config, read_schema(HERE / "workflow/schemas/config.schema.yaml"))
if workflow.is_main_process:
    check(config)


METHODS = {model: methods_for(config, model) for model in config["models"]}
DOCS = next((n for n, source in config["corpora"].items() if source.get("embedded") == "python-docs"), "embedded-python-docs")
ALL_CORES = workflow.resource_settings.cores or config["compute"]["threads"]  # a cluster has no "all"
COMPUTE = {key: config["compute"][key] for key in ("device", "dtype")}  # what can change a result; the rest is for the scheduler
CORPORA = config["corpora"] | {DOCS: config["corpora"].get(DOCS, {"embedded": "python-docs"})}


def either(names):
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True))


wildcard_constraints:
    model=either(config["models"]),
    method=either(config["methods"]),
    ratio=either(f"{ratio:g}" for ratio in [0, *config["ratios"]]),
    corpus=either(CORPORA),
    split="[A-Za-z0-9_]+",
    task=either(config["tasks"] or ["none"]),
    spectrum=r"[a-z-]+-n\d+",


def code(script, *files):
    """A hash of the drank code that a script runs, and of other files of drank that it reads: Snakemake itself watches the script alone."""
    return code_of(*imports_of(HERE / "workflow/scripts" / script), *files)


def cells(model, *methods):
    """Method and ratio of every model a run makes out of one, as they stand in paths; of the named methods, or of all."""
    for label, method in METHODS[model].items():
        for ratio in config["ratios"] if method.budgeted else [0]:
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


def model_at(model, method, ratio):
    """What a measurement loads: the compressed model's directory, or for the dense one the file that says where it lies."""
    return f"results/models/{model}/{method}/{ratio}" if METHODS[model][method].compresses else f"results/sources/{model}.json"


def model_of_job(wildcards):
    return model_at(wildcards.model, wildcards.method, wildcards.ratio)


def methods_at(wildcards):
    """The methods that make a model out of this one at this ratio."""
    return [method for method, ratio in cells(wildcards.model) if ratio == wildcards.ratio]


def local_files(wildcards):
    """The files of a corpus that lie on this machine, so that an edited text is read again."""
    paths = CORPORA[wildcards.corpus].get("files", {}).values()
    return [path for entry in paths for path in ([entry] if isinstance(entry, str) else entry)]


def model_files(wildcards):
    """The files of a model that lie on this machine, so that other weights under the same name are noticed."""
    return local_files_of(config["models"][wildcards.model])


def refit_tokens(wildcards):
    """The calibration text, for methods that refit their coefficients at this ratio."""
    calibration = config["calibration"]
    path = f"results/tokens/{wildcards.model}/{calibration['corpus']}.{calibration['split']}.safetensors"
    return [path] if method_of_job(wildcards).refits(float(wildcards.ratio)) else []


def spectrum_shown(model):
    """The spectrum whose effective ranks a figure shows: the one that D-Rank reads, or else the last of a method that compresses."""
    compressing = [method for method in METHODS[model].values() if method.compresses]
    by_rank = [method for method in compressing if method.allocator == "effective-rank"]
    return [f"results/spectra/{model}/{method.spectrum}.json" for method in (by_rank or compressing)[:1]]
