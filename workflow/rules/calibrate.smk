rule source:
    input:
        model_files,
    output:
        "results/sources/{model}.json",
    log:
        "results/logs/source/{model}.log",
    benchmark:
        "results/benchmarks/source/{model}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **SMALL_JOB,
    params:
        code=code("source.py"),
        source=lambda wildcards: {key: value for key, value in config["models"][wildcards.model].items() if key != "methods"},
    message:
        "Finding and hashing model {wildcards.model}"
    script:
        "../scripts/source.py"


rule calibrate:
    input:
        source="results/sources/{model}.json",
        tokens=lambda wildcards: tokens_at(wildcards.model, TEXTS["calibration"]),
    output:
        directory("results/moments/{model}"),
    log:
        "results/logs/calibrate/{model}.log",
    benchmark:
        "results/benchmarks/calibrate/{model}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["compute"]["threads"]
    resources:
        **MODEL_JOB,
    params:
        code=code("calibrate.py"),
        calibration=TEXTS["calibration"],
        compute=COMPUTE,
    message:
        "Calibrating {wildcards.model}: moments of the inputs of every projection"
    script:
        "../scripts/calibrate.py"


rule gradients:
    input:
        source="results/sources/{model}.json",
        tokens=lambda wildcards: tokens_at(wildcards.model, TEXTS["calibration"]),
    output:
        directory("results/gradients/{model}/{labels}"),
    log:
        "results/logs/gradients/{model}/{labels}.log",
    benchmark:
        "results/benchmarks/gradients/{model}/{labels}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["compute"]["threads"]
    resources:
        **MODEL_JOB,
    params:
        code=code("gradients.py"),
        calibration=lambda wildcards: GRADIENTS[wildcards.labels],
        compute=COMPUTE,
    message:
        "Backward pass over {wildcards.model}: gradients at the outputs of every projection ({wildcards.labels} labels)"
    script:
        "../scripts/gradients.py"
