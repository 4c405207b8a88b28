rule checkpoint:
    input:
        lambda wildcards: here(local_files_of(method_of_job(wildcards).checkpoint)),  # so that other weights under the same name are noticed
        beside="results/sources/{model}.json",
    output:
        "results/sources/{model}/{method}.json",
    log:
        "results/logs/checkpoint/{model}/{method}.log",
    benchmark:
        "results/benchmarks/checkpoint/{model}/{method}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **SMALL_JOB,
    params:
        code=code("checkpoint.py"),
        model=lambda wildcards: identity_of(method_of_job(wildcards).checkpoint),
        where=lambda wildcards, input: {"name": f"{wildcards.model}/{wildcards.method}", "places": PLACES},
    message:
        "Finding and hashing {wildcards.method}, to be measured beside {wildcards.model}"
    script:
        "../scripts/checkpoint.py"


rule round:
    input:
        source="results/sources/{model}.json",
    output:
        made("results/rounded/{model}/{method}"),
    log:
        "results/logs/round/{model}/{method}.log",
    benchmark:
        "results/benchmarks/round/{model}/{method}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["compute"]["threads"]
    resources:
        **MODEL_JOB,
    params:
        code=code("round.py"),
        places=places,
        rounding=lambda wildcards: method_of_job(wildcards).checkpoint,
        compute=COMPUTE,
    message:
        "Rounding {wildcards.model} by {wildcards.method}"
    script:
        "../scripts/round.py"
