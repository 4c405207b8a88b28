rule sensitivity:
    input:
        source="results/sources/{model}.json",
        spectra="results/spectra/{model}/{spectrum}",
        tokens=lambda wildcards: chain_beside_spectrum(wildcards, "sensitivity").tokens("search"),
    output:
        "results/sensitivity/{model}/{spectrum}.json",
    log:
        "results/logs/sensitivity/{model}/{spectrum}.log",
    benchmark:
        "results/benchmarks/sensitivity/{model}/{spectrum}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["compute"]["threads"]
    resources:
        **MODEL_JOB,
    params:
        code=code("sensitivity.py"),
        places=places,
        search=lambda wildcards: chain_beside_spectrum(wildcards, "sensitivity").texts["search"],
        compute=COMPUTE,
    message:
        "Searching how {wildcards.model} suffers from each projection alone ({wildcards.spectrum})"
    script:
        "../scripts/sensitivity.py"


rule selection:
    input:
        unpack(lambda wildcards: chain_of_job(wildcards).evidence()),
        source="results/sources/{model}.json",
        tokens=lambda wildcards: chain_of_job(wildcards).tokens("search"),
    output:
        "results/selections/{model}/{method}/{ratio}.json",
    log:
        "results/logs/selection/{model}/{method}/{ratio}.log",
    benchmark:
        "results/benchmarks/selection/{model}/{method}/{ratio}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["compute"]["threads"]
    resources:
        **MODEL_JOB,
    params:
        code=code("selection.py"),
        places=places,
        settings=lambda wildcards: method_of_job(wildcards).ranking(),
        search=lambda wildcards: chain_of_job(wildcards).texts["search"],
        compute=COMPUTE,
    message:
        "Choosing {wildcards.method}'s mix for {wildcards.model} at ratio {wildcards.ratio} on validation text"
    script:
        "../scripts/selection.py"


rule allocate:
    input:
        unpack(lambda wildcards: chain_of_job(wildcards).evidence() | chain_of_job(wildcards).told()),
        given=lambda wildcards: here(chain_of_job(wildcards).given.values()),
    output:
        "results/plans/{model}/{method}/{ratio}.json",
    log:
        "results/logs/allocate/{model}/{method}/{ratio}.log",
    benchmark:
        "results/benchmarks/allocate/{model}/{method}/{ratio}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **SMALL_JOB,
    params:
        code=code("allocate.py"),
        places=places,
        settings=lambda wildcards: method_of_job(wildcards).settings(float(wildcards.ratio)),
    message:
        "Allocating ranks to {wildcards.model} by {wildcards.method} at ratio {wildcards.ratio}"
    script:
        "../scripts/allocate.py"
