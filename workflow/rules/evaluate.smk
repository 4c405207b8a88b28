from drank.evaluation.pieces import MEASURED_BY
from drank.evaluation.zeroshot.contents import content_of


EVALUATED = {  # what is read of a model and for its measurements
    "model": lambda wildcards: chain_of_job(wildcards).made,
    "tokens": [f"results/tokens/{{model}}/{corpus}.{config['perplexity']['split']}.safetensors" for corpus in config["perplexity"]["corpora"]],
    "task_items": [f"results/tasks/{task}.jsonl" for task in EMBEDDED_TASKS],
    "data": here(path for source in TASKS.values() for path in files_of(source)),
}


rule evaluate:
    input:
        unpack(lambda wildcards: chain_of_job(wildcards).beside),
        **EVALUATED,
        parts=parts_of("evaluate", "results/evaluate/{model}/{method}/{ratio}"),
    output:
        **{kind: f"results/{kind}/{{model}}/{{method}}/{{ratio}}.json" for kind in EVALUATIONS},
    log:
        "results/logs/evaluate/{model}/{method}/{ratio}.log",
    benchmark:
        timing_of("evaluate", "{model}/{method}/{ratio}")
    conda:
        "../../envs/evaluate.yaml"
    threads: job_of("evaluate")["threads"]
    resources:
        **job_of("evaluate")["resources"],
    params:
        code=code("evaluate.py"),
        places=places,
        perplexity=config["perplexity"],
        zeroshot=config["zeroshot"],
        contents={task: source if "embedded" in source else content_of(source) or source for task, source in TASKS.items()},
        tasks=lambda wildcards, input: TASKS,
        embedded=EMBEDDED_TASKS,
        dense=lambda wildcards: None if method_of_job(wildcards).compresses else settings_of(method_of_job(wildcards)),  # what the record of a model without a plan says of its method
        compute=COMPUTE,
        kept=pieces_of_job,
        measured_by={kind: code_of(*modules) for kind, modules in MEASURED_BY.items()},
    message:
        "Evaluating {wildcards.model}, {wildcards.method} at ratio {wildcards.ratio}"
    script:
        "../scripts/evaluate.py"


if SHARDS["evaluate"] > 1:

    use rule evaluate as evaluate_part with:
        input:
            unpack(lambda wildcards: chain_of_job(wildcards).beside),
            **EVALUATED,
            parts=[],
        output:
            part=temp(parts_at("results/evaluate/{model}/{method}/{ratio}")),
        log:
            "results/logs/evaluate/{model}/{method}/{ratio}/{scatteritem}.log",
        benchmark:
            "results/benchmarks/evaluate/{model}/{method}/{ratio}/{scatteritem}.tsv"
        threads: config["compute"]["threads"]
        resources:
            **MODEL_JOB,
        message:
            "Evaluating {wildcards.model}, {wildcards.method} at ratio {wildcards.ratio}: share {wildcards.scatteritem}"
