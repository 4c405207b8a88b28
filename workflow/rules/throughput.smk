rule throughput:
    input:
        models=lambda wildcards: [chain_at(wildcards.model, method, wildcards.ratio).made for method in methods_at(wildcards)],
        beside=dense_beside,
    output:
        directory("results/throughput/{model}/{ratio}"),
    log:
        "results/logs/throughput/{model}/{ratio}.log",
    benchmark:
        "results/benchmarks/throughput/{model}/{ratio}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["compute"]["threads"] if SUBMITTED else ALL_CORES  # nothing else may run beside a timing: here all cores are taken,
    resources:
        **MODEL_JOB,
        slurm_extra="--exclusive",  # and of a cluster the whole node
    params:
        code=code("throughput.py"),
        places=places,
        throughput=lambda wildcards: READ[wildcards.model]["throughput"],
        methods=lambda wildcards: methods_at(wildcards),
        threads=config["compute"]["threads"],  # timings with other threads are other numbers
        dense=lambda wildcards: DENSE if wildcards.ratio == "0" else None,  # what the record of a model without a plan says of its method
        theirs=lambda wildcards: theirs_at(wildcards),
        compute=COMPUTE,
    message:
        "Throughput of {wildcards.model} at ratio {wildcards.ratio}, the methods in turn"
    script:
        "../scripts/throughput.py"
