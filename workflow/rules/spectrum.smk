rule spectrum:
    input:
        source="results/sources/{model}.json",
        moments="results/moments/{model}",
    output:
        spectra="results/spectra/{model}/{spectrum}.safetensors",
        summary="results/spectra/{model}/{spectrum}.json",
    log:
        "results/logs/spectrum/{model}/{spectrum}.log",
    benchmark:
        "results/benchmarks/spectrum/{model}/{spectrum}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["compute"]["threads"]
    resources:
        mem_mb=config["compute"]["memory_mb"],
        gpu=config["compute"]["gpus"],
    params:
        code=code("spectrum.py"),
        compute=COMPUTE,
    message:
        "Decomposing {wildcards.model} ({wildcards.spectrum})"
    script:
        "../scripts/spectrum.py"
