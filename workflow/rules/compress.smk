rule compress:
    input:
        unpack(lambda wildcards: chain_of_job(wildcards).compress_texts()),
        source="results/sources/{model}.json",
        plan="results/plans/{model}/{method}/{ratio}.json",
        spectra=lambda wildcards: chain_of_job(wildcards).spectra,
    output:
        made("results/models/{model}/{method}/{ratio}"),
    log:
        "results/logs/compress/{model}/{method}/{ratio}.log",
    benchmark:
        "results/benchmarks/compress/{model}/{method}/{ratio}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["compute"]["threads"]
    resources:
        **MODEL_JOB,
    params:
        code=code("compress.py"),
        places=places,
        calibration=lambda wildcards: chain_of_job(wildcards).read_again("tokens", "calibration"),
        training=lambda wildcards: chain_of_job(wildcards).read_again("finetune_tokens", "finetune"),
        compute=COMPUTE,
    message:
        "Compressing {wildcards.model} by {wildcards.method} at ratio {wildcards.ratio}"
    script:
        "../scripts/compress.py"
