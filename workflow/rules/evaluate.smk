rule evaluate:
    input:
        unpack(lambda wildcards: chain_of_job(wildcards).beside),
        model=lambda wildcards: chain_of_job(wildcards).made,
        tokens=[
            f"results/tokens/{{model}}/{corpus}.{config['perplexity']['split']}.safetensors"
            for corpus in config["perplexity"]["corpora"]
        ],
        task_items=[f"results/tasks/{task}.jsonl" for task in EMBEDDED_TASKS],
        data=[path for source in TASKS.values() for path in files_of(source)],
    output:
        **{kind: f"results/{kind}/{{model}}/{{method}}/{{ratio}}.json" for kind in EVALUATIONS},
    log:
        "results/logs/evaluate/{model}/{method}/{ratio}.log",
    benchmark:
        "results/benchmarks/evaluate/{model}/{method}/{ratio}.tsv"
    conda:
        "../../envs/evaluate.yaml"
    threads: config["compute"]["threads"]
    resources:
        **MODEL_JOB,
    params:
        code=code("evaluate.py"),
        perplexity=config["perplexity"],
        zeroshot=config["zeroshot"],
        tasks=TASKS,
        embedded=EMBEDDED_TASKS,
        dense=lambda wildcards: None if method_of_job(wildcards).compresses else method_of_job(wildcards).settings(),  # what the record of a model without a plan says of its method
        compute=COMPUTE,
    message:
        "Evaluating {wildcards.model}, {wildcards.method} at ratio {wildcards.ratio}"
    script:
        "../scripts/evaluate.py"
