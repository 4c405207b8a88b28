from drank.evaluation.pieces import MEASURED_BY


rule reference:
    input:
        source="results/sources/{model}.json",
        tokens="results/tokens/{model}/{text}.safetensors",
    output:
        passing(directory("results/reference/{model}/{text}")),
    log:
        "results/logs/reference/{model}/{text}.log",
    benchmark:
        "results/benchmarks/reference/{model}/{text}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["compute"]["threads"]
    resources:
        **MODEL_JOB,
    params:
        code=code("reference.py"),
        places=places,
        perplexity=lambda wildcards: {key: READ[wildcards.model]["perplexity"][key] for key in ("length", "windows", "batch", "bos")},
        compute=COMPUTE,
    message:
        "Running {wildcards.model} on {wildcards.text}: what others are compared with"
    script:
        "../scripts/reference.py"


EVALUATED = {  # what is read of a model and for its measurements
    "model": lambda wildcards: chain_of_job(wildcards).made,
    "tokens": texts_of_job,
    "references": references_of_job,
    "overlaps": overlaps_of_job,
    "overfitting": overfitting_of_job,
    "task_items": lambda wildcards: [f"results/tasks/{task}.jsonl" for task in embedded_of_job(wildcards)],
    "data": lambda wildcards: here(path for source in tasks_of_job(wildcards).values() for path in files_of(source)),
}


rule evaluate:
    input:
        unpack(dense_of_job),
        **EVALUATED,
        parts=parts_of("evaluate", "results/evaluate/{model}/{method}/{ratio}"),
    output:
        **records_of(MEASURED_TOGETHER[0]),
    wildcard_constraints:
        model=measured_cells(MEASURED_TOGETHER[0]),
    log:
        "results/logs/evaluate/{model}/{method}/{ratio}.log",
    benchmark:
        timing_of("evaluate", "{model}/{method}/{ratio}")
    conda:
        "../../envs/evaluate.yaml"
    threads: threads_of("evaluate")
    resources:
        **resources_of("evaluate"),
    params:
        code=code("evaluate.py"),
        places=places,
        perplexity=lambda wildcards: measuring_of_job(wildcards, "perplexity"),
        zeroshot=lambda wildcards: measuring_of_job(wildcards, "zeroshot"),
        contents=contents_of_job,
        tasks=lambda wildcards, input: tasks_of_job(wildcards),
        embedded=embedded_of_job,
        dense=lambda wildcards: None if method_of_job(wildcards).compresses else settings_of(method_of_job(wildcards)),  # what the record of a model without a plan says of its method
        compute=COMPUTE,
        kept=pieces_of_job,
        measured_by={kind: code_of(*modules) for kind, modules in MEASURED_BY.items()},
    message:
        "Evaluating {wildcards.model}, {wildcards.method} at ratio {wildcards.ratio}"
    script:
        "../scripts/evaluate.py"


if ("perplexity",) in MEASURED_TOGETHER[1:]:

    use rule evaluate as evaluate_texts with:
        output:
            **records_of(["perplexity"]),
        wildcard_constraints:
            model=measured_cells(("perplexity",)),


if ("zeroshot",) in MEASURED_TOGETHER[1:]:

    use rule evaluate as evaluate_tasks with:
        output:
            **records_of(["zeroshot"]),
        wildcard_constraints:
            model=measured_cells(("zeroshot",)),


if SHARDS["evaluate"] > 1:

    use rule evaluate as evaluate_part with:
        input:
            unpack(dense_of_job),
            **EVALUATED,
            parts=[],
        output:
            part=temp(parts_at("results/evaluate/{model}/{method}/{ratio}")),
        wildcard_constraints:
            model=either(config["models"]),
        log:
            "results/logs/evaluate/{model}/{method}/{ratio}/{scatteritem}.log",
        benchmark:
            "results/benchmarks/evaluate/{model}/{method}/{ratio}/{scatteritem}.tsv"
        threads: config["compute"]["threads"]
        resources:
            **MODEL_JOB,
        message:
            "Evaluating {wildcards.model}, {wildcards.method} at ratio {wildcards.ratio}: share {wildcards.scatteritem}"
