rule prefetch:
    log:
        "results/logs/prefetch.log",
    conda:
        "../../envs/evaluate.yaml"
    params:
        config=config,
    message:
        "Fetching hub models, corpora and tasks into the local cache"
    script:
        "../scripts/prefetch.py"
