# What making a model reads beside what it is measured on: text that is in both, and how much better it does on what it has read.


def read_of_job(wildcards):
    """The texts that making the model of a job reads, as `corpus.split`."""
    texts = texts_read(READ[wildcards.model], method_of_job(wildcards), float(wildcards.ratio))
    return list(dict.fromkeys(".".join(text) for text in texts.values()))


def overlaps_of_job(wildcards):
    """How much of each text that is measured of a run stands in each that making its model reads."""
    read = read_of_job(wildcards)
    return [f"results/overlap/{wildcards.model}/{text}/{other}.json" for text in splits_of_job(wildcards) for other in read]


def overfitting_of_job(wildcards):
    """The dense model's losses on windows that the calibration of a run read and on others, and that text; where there is one, and perplexity."""
    method = method_of_job(wildcards).at(float(wildcards.ratio))
    if not (config["perplexity"]["overfitting"] and wanted_of_job(wildcards, "perplexity") and method.reads_calibration):
        return []
    tokens = tokens_at(wildcards.model, calibration_options(READ[wildcards.model], method.calibration))
    return [f"results/overfitting/{wildcards.model}{method.calibrated}.json", tokens]


rule overlap:
    input:
        measured="results/tokens/{model}/{text}.safetensors",
        read="results/tokens/{model}/{read}.safetensors",
    output:
        "results/overlap/{model}/{text}/{read}.json",
    log:
        "results/logs/overlap/{model}/{text}/{read}.log",
    benchmark:
        "results/benchmarks/overlap/{model}/{text}/{read}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    priority: FIRST
    resources:
        **SMALL_JOB,
    params:
        code=code("overlap.py"),
        perplexity=lambda wildcards: {key: READ[wildcards.model]["perplexity"][key] for key in ("length", "windows", "bos")},
        seen=config["perplexity"]["seen"],
    message:
        "Looking for {wildcards.text} in {wildcards.read}, as {wildcards.model} reads them"
    script:
        "../scripts/overlap.py"


rule overfitting:
    input:
        source="results/sources/{model}.json",
        tokens=lambda wildcards: tokens_at(wildcards.model, calibration_of_job(wildcards)),
    output:
        "results/overfitting/{model}{calibrated}.json",
    log:
        "results/logs/overfitting/{model}{calibrated}.log",
    benchmark:
        "results/benchmarks/overfitting/{model}{calibrated}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["compute"]["threads"]
    resources:
        **MODEL_JOB,
    params:
        code=code("overfitting.py"),
        places=places,
        calibration=lambda wildcards: gradient_options(READ[wildcards.model], "sampled", CALIBRATIONS[wildcards.calibrated]),
        windows=config["perplexity"]["overfitting"],
        compute=COMPUTE,
    message:
        "Running {wildcards.model}{wildcards.calibrated} on windows that were read and on others: what overfitting is measured against"
    script:
        "../scripts/overfitting.py"
