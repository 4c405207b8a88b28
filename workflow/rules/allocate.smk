rule allocate:
    input:
        summary=lambda wildcards: f"results/spectra/{wildcards.model}/{method_of_job(wildcards).spectrum}.json",
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
        mem_mb=1000,
    params:
        code=code("allocate.py"),
        settings=lambda wildcards: method_of_job(wildcards).settings(),
    message:
        "Allocating ranks to {wildcards.model} by {wildcards.method} at ratio {wildcards.ratio}"
    script:
        "../scripts/allocate.py"
