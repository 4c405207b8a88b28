rule spectrum:
    input:
        unpack(lambda wildcards: chain_to_spectrum(wildcards).spectrum_inputs()),
        source="results/sources/{model}.json",
    output:
        spectra=passing(directory("results/spectra/{model}/{spectrum}")),
        ranks="results/effective_ranks/{model}/{spectrum}.json",
    log:
        "results/logs/spectrum/{model}/{spectrum}.log",
    benchmark:
        "results/benchmarks/spectrum/{model}/{spectrum}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["compute"]["threads"]
    resources:
        **MODEL_JOB,
    params:
        code=code("spectrum.py"),
        places=places,
        weighting=lambda wildcards: chain_to_spectrum(wildcards).method.weighting,
        options=lambda wildcards: chain_to_spectrum(wildcards).method.weighting_options,
        group=lambda wildcards: chain_to_spectrum(wildcards).method.group,
        compute=COMPUTE,
    message:
        "Decomposing {wildcards.model} ({wildcards.spectrum})"
    script:
        "../scripts/spectrum.py"


rule slopes:
    input:
        source="results/sources/{model}.json",
        spectra="results/spectra/{model}/{spectrum}",
        gradients=lambda wildcards: chain_beside_spectrum(wildcards, "slopes").told()["gradients"],
    output:
        passing("results/slopes/{model}/{spectrum}.safetensors"),
    log:
        "results/logs/slopes/{model}/{spectrum}.log",
    benchmark:
        "results/benchmarks/slopes/{model}/{spectrum}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["compute"]["threads"]
    resources:
        **MODEL_JOB,
    params:
        code=code("slopes.py"),
        places=places,
        compute=COMPUTE,
    message:
        "First-order loss changes of {wildcards.model} ({wildcards.spectrum})"
    script:
        "../scripts/slopes.py"


rule relinearise:
    input:
        source="results/sources/{model}.json",
        spectra=lambda wildcards: chain_of_job(wildcards).spectrum,
        tokens=lambda wildcards: chain_of_job(wildcards).tokens("calibration"),
    output:
        passing(directory("results/steps/{model}/{method}/{ratio}")),
    log:
        "results/logs/relinearise/{model}/{method}/{ratio}.log",
    benchmark:
        "results/benchmarks/relinearise/{model}/{method}/{ratio}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["compute"]["threads"]
    resources:
        **MODEL_JOB,
    params:
        code=code("relinearise.py"),
        places=places,
        settings=lambda wildcards: method_of_job(wildcards).ranking(),
        options=lambda wildcards: method_of_job(wildcards).weighting_options,
        calibration=lambda wildcards: gradient_options(READ[wildcards.model], method_of_job(wildcards).weighing_pass, method_of_job(wildcards).calibration),
        compute=COMPUTE,
    message:
        "Measuring {wildcards.model} again on the way of {wildcards.method} to ratio {wildcards.ratio}"
    script:
        "../scripts/relinearise.py"
