def code(script, *files):
    """A hash of what a script runs, its own code and drank's, and of other files of drank that it reads."""
    return code_of(HERE / "workflow/scripts" / script, *files)


def cells(model, *kinds):
    """Method and ratio of every run of a model, as they stand in paths; of those alone of which any of these kinds is measured."""
    return RUNS.cells(model, *kinds)


def results_of(kind):
    """The records of one kind for all models, methods and ratios."""
    return [f"results/{kind}/{model}/{method}/{ratio}.json" for model in METHODS for method, ratio in cells(model, kind)]


def timings():
    """The folders with the throughput records of all models, one for each ratio."""
    return list(dict.fromkeys(f"results/throughput/{model}/{ratio}" for model in METHODS for _, ratio in cells(model, "throughput")))


def measured_cells(kinds):
    """A pattern for the model of runs of which just these kinds are measured, which looks ahead at method and ratio."""
    found = ["/".join(cell) for cell, mine in KINDS_OF.items() if mine == kinds]
    return f"(?=(?:{either(found)})(?:[.]json|/[^/]+)$)(?:{either(config['models'])})"


def method_of_job(wildcards):
    return METHODS[wildcards.model][wildcards.method]


def chain_at(model, method, ratio):
    """The way to one model: where its files lie, and which of them each step reads."""
    return Chain(model, method, METHODS[model][method], ratio, texts_of(READ[model], METHODS[model][method]), model in SHAPES)


def chain_of_job(wildcards):
    return chain_at(wildcards.model, wildcards.method, wildcards.ratio)


def chain_to_spectrum(wildcards):
    """The way of a method that reads this spectrum, gradients and all; those that do agree in what makes it and what is read beside it."""
    readers = {label: method for label, method in METHODS[wildcards.model].items() if method.spectrum == wildcards.spectrum}
    return chain_at(wildcards.model, next((label for label, method in readers.items() if method.reads_gradients), next(iter(readers))), "0")


def chain_beside_spectrum(wildcards, needed):
    """The same of a method whose allocator needs this beside it, slopes or a search: others may read it alone, and another text."""
    methods = METHODS[wildcards.model]
    readers = (label for label, method in methods.items() if method.spectrum == wildcards.spectrum and needed in method.needs)
    return chain_at(wildcards.model, next(readers), "0")


def calibration_of_job(wildcards):
    """What the text of a calibration is, by what tells it from that of the run."""
    return calibration_options(READ[wildcards.model], CALIBRATIONS[wildcards.calibrated])


def wanted_of_job(wildcards, kind):
    """The texts or tasks that are measured of a run, by name."""
    return RUNS.wanted[wildcards.model, wildcards.method, wildcards.ratio][kind]


def measuring_of_job(wildcards, kind):
    """The section by which this kind is measured of a run, and what; nothing where none is: a change of it makes no such job anew."""
    sections = {"perplexity": ("corpora", perplexity_options), "zeroshot": ("tasks", lambda read: read["zeroshot"])}
    (named, options), names = sections[kind], wanted_of_job(wildcards, kind)
    return options(READ[wildcards.model]) | {named: names} if names else {}


def splits_of_job(wildcards):
    """The texts that are measured of a run, as `corpus.split`."""
    return [".".join(split_of(config, text)) for text in wanted_of_job(wildcards, "perplexity")]


def texts_of_job(wildcards):
    """The tokens of these texts."""
    return [f"results/tokens/{wildcards.model}/{text}.safetensors" for text in splits_of_job(wildcards)]


def references_of_job(wildcards):
    """What is kept of the dense model on these texts, where a run is compared with it: of another model, and as the configuration says."""
    compared = config["perplexity"]["to_dense"] and chain_of_job(wildcards).made != chain_of_job(wildcards).source
    return [f"results/reference/{wildcards.model}/{text}" for text in splits_of_job(wildcards)] if compared else []


def dense_of_job(wildcards):
    """What describes the dense model where a measurement reads it: on whose tokens and beside whose size, or out of what is kept of it."""
    chain = chain_of_job(wildcards)
    return chain.beside | ({"source": chain.source} if references_of_job(wildcards) else {})


def tasks_of_job(wildcards):
    """The tasks that are measured of a run, by name."""
    return {task: config["tasks"][task] for task in wanted_of_job(wildcards, "zeroshot")}


def embedded_of_job(wildcards):
    """Those of them whose items this run makes."""
    return [task for task, source in tasks_of_job(wildcards).items() if "embedded" in source]


def methods_at(wildcards):
    """The methods that are timed on this model at this ratio."""
    return [method for method, ratio in cells(wildcards.model, "throughput") if ratio == wildcards.ratio]


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


def records_of(kinds):
    """The records of one run, by kind."""
    return {kind: f"results/{kind}/{{model}}/{{method}}/{{ratio}}.json" for kind in kinds}


@cache
def content_of_task(task):
    """What a task reads, as far as that is known; a group of the harness takes most of a second, and every run of a model asks."""
    source = config["tasks"][task]
    return source if "embedded" in source else content_of(source) or source


def contents_of_job(wildcards):
    """What each task of a run reads."""
    return {task: content_of_task(task) for task in tasks_of_job(wildcards)}


def dense_beside(wildcards):
    """What describes the dense model, timed beside the others where the run measures it or a checkpoint is compared with it; else none."""
    return [f"results/sources/{wildcards.model}.json"] if "dense" in METHODS[wildcards.model] or theirs_at(wildcards) else []
