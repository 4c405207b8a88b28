rule throughput:
    input:
        model=model_of_job,
    output:
        "results/throughput/{model}/{method}/{ratio}.json",
    log:
        "results/logs/throughput/{model}/{method}/{ratio}.log",
    benchmark:
        "results/benchmarks/throughput/{model}/{method}/{ratio}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: ALL_CORES  # nothing else may run beside a timing
    resources:
        mem_mb=config["compute"]["memory_mb"],
        gpu=config["compute"]["gpus"],
    params:
        code=code("throughput.py"),
        throughput=config["throughput"],
        threads=ALL_CORES,  # timings with other threads are other numbers
        compute=COMPUTE,
    message:
        "Throughput of {wildcards.model}, {wildcards.method} at ratio {wildcards.ratio}"
    script:
        "../scripts/throughput.py"
