rule spectrum:
    input:
        unpack(spectrum_inputs),
        source="results/sources/{model}.json",
        moments="results/moments/{model}",
    output:
        directory("results/spectra/{model}/{spectrum}"),
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
        weighting=lambda wildcards: spectrum_of_job(wildcards).weighting,
        options=lambda wildcards: spectrum_of_job(wildcards).weighting_options,
        group=lambda wildcards: spectrum_of_job(wildcards).group,
        compute=COMPUTE,
    message:
        "Decomposing {wildcards.model} ({wildcards.spectrum})"
    script:
        "../scripts/spectrum.py"


rule slopes:
    input:
        source="results/sources/{model}.json",
        spectra="results/spectra/{model}/{spectrum}",
        gradients="results/gradients/{model}",
    output:
        "results/slopes/{model}/{spectrum}.safetensors",
    log:
        "results/logs/slopes/{model}/{spectrum}.log",
    benchmark:
        "results/benchmarks/slopes/{model}/{spectrum}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["compute"]["threads"]
    resources:
        mem_mb=config["compute"]["memory_mb"],
        gpu=config["compute"]["gpus"],
    params:
        code=code("slopes.py"),
        compute=COMPUTE,
    message:
        "First-order loss changes of {wildcards.model} ({wildcards.spectrum})"
    script:
        "../scripts/slopes.py"
