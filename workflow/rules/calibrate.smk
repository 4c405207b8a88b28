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
    priority: FIRST
    resources:
        **SMALL_JOB,
    params:
        code=code("source.py"),
        model=lambda wildcards: identity_of(PLACES[wildcards.model]),
        place=lambda wildcards, input: PLACES[wildcards.model],
    message:
        "Finding and hashing model {wildcards.model}"
    script:
        "../scripts/source.py"


rule calibrate:
    input:
        source="results/sources/{model}.json",
        tokens=lambda wildcards: tokens_at(wildcards.model, calibration_of_job(wildcards)),
        parts=parts_of("calibrate", "results/moments/{model}{calibrated}"),
    output:
        passing(directory("results/moments/{model}{calibrated}")),
    log:
        "results/logs/calibrate/{model}{calibrated}.log",
    benchmark:
        timing_of("calibrate", "{model}{calibrated}")
    conda:
        "../../envs/torch.yaml"
    threads: threads_of("calibrate")
    resources:
        **resources_of("calibrate"),
    params:
        code=code("calibrate.py"),
        places=places,
        calibration=calibration_of_job,
        compute=COMPUTE,
    message:
        "Calibrating {wildcards.model}{wildcards.calibrated}: moments of the inputs of every projection"
    script:
        "../scripts/calibrate.py"


if SHARDS["calibrate"] > 1:

    use rule calibrate as calibrate_part with:
        input:
            source="results/sources/{model}.json",
            tokens=lambda wildcards: tokens_at(wildcards.model, calibration_of_job(wildcards)),
            parts=[],
        output:
            temp(directory(parts_at("results/moments/{model}{calibrated}"))),
        log:
            "results/logs/calibrate/{model}{calibrated}/{scatteritem}.log",
        benchmark:
            "results/benchmarks/calibrate/{model}{calibrated}/{scatteritem}.tsv"
        threads: config["compute"]["threads"]
        resources:
            **MODEL_JOB,
        message:
            "Calibrating {wildcards.model}{wildcards.calibrated}: share {wildcards.scatteritem} of the moments"


rule gradients:
    input:
        source="results/sources/{model}.json",
        tokens=lambda wildcards: tokens_at(wildcards.model, calibration_of_job(wildcards)),
        parts=parts_of("gradients", "results/gradients/{model}{calibrated}/{labels}"),
    output:
        passing(directory("results/gradients/{model}{calibrated}/{labels}")),
    log:
        "results/logs/gradients/{model}{calibrated}/{labels}.log",
    benchmark:
        timing_of("gradients", "{model}{calibrated}/{labels}")
    conda:
        "../../envs/torch.yaml"
    threads: threads_of("gradients")
    resources:
        **resources_of("gradients"),
    params:
        code=code("gradients.py"),
        places=places,
        calibration=lambda wildcards: gradient_options(READ[wildcards.model], wildcards.labels, CALIBRATIONS[wildcards.calibrated]),
        outputs=lambda wildcards: outputs_read(METHODS[wildcards.model].values(), wildcards.labels, wildcards.calibrated),
        compute=COMPUTE,
    message:
        "Backward pass over {wildcards.model}{wildcards.calibrated}: gradients at the outputs of every projection ({wildcards.labels} labels)"
    script:
        "../scripts/gradients.py"


if SHARDS["gradients"] > 1:

    use rule gradients as gradients_part with:
        input:
            source="results/sources/{model}.json",
            tokens=lambda wildcards: tokens_at(wildcards.model, calibration_of_job(wildcards)),
            parts=[],
        output:
            temp(directory(parts_at("results/gradients/{model}{calibrated}/{labels}"))),
        log:
            "results/logs/gradients/{model}{calibrated}/{labels}/{scatteritem}.log",
        benchmark:
            "results/benchmarks/gradients/{model}{calibrated}/{labels}/{scatteritem}.tsv"
        threads: config["compute"]["threads"]
        resources:
            **MODEL_JOB,
        message:
            "Backward pass over {wildcards.model}{wildcards.calibrated}: share {wildcards.scatteritem} ({wildcards.labels} labels)"
