import re
from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.logging import logger
from snakemake.utils import update_config

from drank.runtime.codehash import code_of, imports_of
from drank.corpora.installed import package_versions
from drank.config import calibration_options, check, finetune_options, gradient_options, methods_for, read_schema
from drank.config import ratios_of, refusals_for, search_options, with_defaults
from drank.config.method_entries import method_of
from drank.config.paths import rooted
from drank.calibration.losses import LABELS
from drank.models.sources import local_files_of
from drank.evaluation.zeroshot import files_of

HERE = Path(workflow.basedir)

# Read again, since what Snakemake has merged no longer tells at which folder a path starts.
config = {}
for file in workflow.configfiles:
    update_config(config, rooted(load_configfile(file), Path(file).parent, Path.cwd()))
update_config(config, rooted(workflow.config_settings.config, Path.cwd(), Path.cwd()))
config = with_defaults(config, read_schema(HERE / "workflow/schemas/config.schema.yaml"))
if workflow.is_main_process:
    check(config)
    for model in config["models"]:
        for label, reason in refusals_for(config, model).items():
            logger.warning(f"{model}: {label} does not apply and is left out: {reason}")


METHODS = {model: methods_for(config, model) for model in config["models"]}
REFUSED = {model: refusals_for(config, model) for model in config["models"]}
CALIBRATION, GRADIENTS = calibration_options(config), {labels: gradient_options(config, labels) for labels in LABELS}
SEARCH, FINETUNE = search_options(config), finetune_options(config)
DENSE = method_of("dense", {}).settings()
DOCS = next((n for n, source in config["corpora"].items() if source.get("embedded") == "python-docs"), "embedded-python-docs")
ALL_CORES = workflow.resource_settings.cores or config["compute"]["threads"]  # a cluster has no "all"
MODEL_JOB = {"mem_mb": config["compute"]["memory_mb"], "gpu": config["compute"]["gpus"]}  # what a job that runs a model asks for
SMALL_JOB = {"mem_mb": 1000}
COMPUTE = {key: config["compute"][key] for key in ("device", "dtype")}  # what can change a result; the rest is for the scheduler
TASKS = {task: config["tasks"][task] for task in config["zeroshot"]["tasks"]}
EMBEDDED_TASKS = [task for task, source in TASKS.items() if "embedded" in source]
EVALUATIONS = [*(["perplexity"] if config["perplexity"]["corpora"] else []), *(["zeroshot"] if TASKS else [])]
TIMED = ["throughput"] if "throughput" in config else []
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
    labels=either(LABELS),
    spectrum=either(method.spectrum for methods in METHODS.values() for method in methods.values()),


def code(script, *files):
    """A hash of the drank code that a script runs, and of other files of drank that it reads: Snakemake itself watches the script alone."""
    return code_of(*imports_of(HERE / "workflow/scripts" / script), *files)


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


def tokens_of(model, options):
    """The tokens of the text that a step reads, for that model's tokenizer."""
    return f"results/tokens/{model}/{options['corpus']}.{options['split']}.safetensors"


def spectrum_of_job(wildcards):
    """A method that reads this spectrum; all that do agree in what makes it."""
    return next(method for method in METHODS[wildcards.model].values() if method.spectrum == wildcards.spectrum)


def gradients_of_job(wildcards):
    """The gradients for the labels that the methods of this spectrum read; those that read any agree, for the spectrum names the labels."""
    readers = (method for method in METHODS[wildcards.model].values() if method.spectrum == wildcards.spectrum and method.reads_gradients)
    return f"results/gradients/{wildcards.model}/{next(readers).labels}"


def spectrum_inputs(wildcards):
    """The moments and the gradients, for a weighting that is made of them."""
    method, moments = spectrum_of_job(wildcards), {"moments": f"results/moments/{wildcards.model}"}
    return (moments if method.weighs_inputs else {}) | ({"gradients": gradients_of_job(wildcards)} if method.weighs_gradients else {})


def spectra_of_job(wildcards):
    """The spectra out of which a model is made: those of the dense model, or with steps those of the last step to this very ratio."""
    model, method = wildcards.model, method_of_job(wildcards)
    if method.relinearises:
        return f"results/steps/{model}/{wildcards.method}/{wildcards.ratio}"
    return f"results/spectra/{model}/{method.spectrum}"


def evidence_of_job(wildcards):
    """What an allocator reads, by name: the spectra, and what else it needs."""
    model, method = wildcards.model, method_of_job(wildcards)
    extra = {
        "slopes": ("slopes", f"results/slopes/{model}/{method.spectrum}.safetensors"),
        "similarities": ("moments", f"results/moments/{model}"),
        "sensitivity": ("sensitivity", f"results/sensitivity/{model}/{method.spectrum}.json"),
    }
    return {"spectra": spectra_of_job(wildcards), **dict(extra[name] for name in sorted(method.needs))}


def allocation_inputs(wildcards):
    """The evidence, what tells of the text behind it, and the choice made on validation text where an option is chosen there."""
    method = method_of_job(wildcards)
    choice = f"results/selections/{wildcards.model}/{wildcards.method}/{wildcards.ratio}.json"
    told = f"results/gradients/{wildcards.model}/{method.labels}"  # for what it says of its text
    gradients = {"gradients": told} if "slopes" in method.needs else {}
    return evidence_of_job(wildcards) | gradients | ({"choice": choice} if method.chooses else {})


def text_inputs(wildcards):
    """The texts that compressing reads: for a refit and for corrections that of the calibration, for fine-tuning its own."""
    method, ratio = method_of_job(wildcards), float(wildcards.ratio)
    texts = {"tokens": CALIBRATION} if method.refits(ratio) or method.corrections else {}
    texts |= {"finetune_tokens": FINETUNE} if method.finetunes(ratio) else {}
    return {name: tokens_of(wildcards.model, options) for name, options in texts.items()}


def spectrum_shown(model):
    """The spectrum whose effective ranks a figure shows: the one that D-Rank reads, or else the last of a method that compresses."""
    compressing = [method for method in METHODS[model].values() if method.compresses]
    by_rank = [method for method in compressing if method.allocator == "effective-rank"]
    return [f"results/spectra/{model}/{method.spectrum}" for method in (by_rank or compressing)[:1]]


def chain_of(model, label, ratio):
    """The steps on the way to one model, by rule, each with the file in which Snakemake notes how long it took; none for the dense one."""
    method = METHODS[model][label]
    if not method.compresses:
        return {}
    place, own = f"{model}/{method.spectrum}", f"{model}/{label}/{ratio}"
    calibrated = method.weighs_inputs or "similarities" in method.needs
    chain = {
        "calibrate": model if calibrated else None,
        "gradients": f"{model}/{method.labels}" if method.reads_gradients else None,
        "spectrum": place,
        "slopes": place if "slopes" in method.needs else None,
        "sensitivity": place if "sensitivity" in method.needs else None,
        "relinearise": own if method.relinearises else None,
        "selection": own if method.chooses else None,
        "allocate": own,
        "compress": own,
    }
    return {rule: f"results/benchmarks/{rule}/{path}.tsv" for rule, path in chain.items() if path}
