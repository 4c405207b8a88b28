# What making a model reads beside what it is measured on: text that is in both, and how much better it does on what it has read.


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
