rule compress:
    input:
        unpack(text_inputs),
        source="results/sources/{model}.json",
        plan="results/plans/{model}/{method}/{ratio}.json",
        spectra=spectra_of_job,
    output:
        directory("results/models/{model}/{method}/{ratio}"),
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
        calibration=lambda wildcards: CALIBRATION if "tokens" in text_inputs(wildcards) else None,
        finetune=lambda wildcards: FINETUNE if method_of_job(wildcards).finetunes(float(wildcards.ratio)) else None,
        compute=COMPUTE,
    message:
        "Compressing {wildcards.model} by {wildcards.method} at ratio {wildcards.ratio}"
    script:
        "../scripts/compress.py"
