rule perplexity:
    input:
        model=model_of_job,
        tokens=[
            f"results/tokens/{{model}}/{corpus}.{config['perplexity']['split']}.safetensors"
            for corpus in config["perplexity"]["corpora"]
        ],
    output:
        "results/perplexity/{model}/{method}/{ratio}.json",
    log:
        "results/logs/perplexity/{model}/{method}/{ratio}.log",
    benchmark:
        "results/benchmarks/perplexity/{model}/{method}/{ratio}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: config["compute"]["threads"]
    resources:
        mem_mb=config["compute"]["memory_mb"],
        gpu=config["compute"]["gpus"],
    params:
        code=code("perplexity.py"),
        perplexity=config["perplexity"],
        compute=COMPUTE,
    message:
        "Perplexity of {wildcards.model}, {wildcards.method} at ratio {wildcards.ratio}"
    script:
        "../scripts/perplexity.py"


TASKS = {task: config["tasks"][task] for task in config["zeroshot"]["tasks"]}
EMBEDDED_TASKS = [task for task, source in TASKS.items() if "embedded" in source]


rule zeroshot:
    input:
        model=model_of_job,
        task_items=[f"results/tasks/{task}.jsonl" for task in EMBEDDED_TASKS],
        data=[path for source in TASKS.values() for path in files_of(source)],
    output:
        "results/zeroshot/{model}/{method}/{ratio}.json",
    log:
        "results/logs/zeroshot/{model}/{method}/{ratio}.log",
    benchmark:
        "results/benchmarks/zeroshot/{model}/{method}/{ratio}.tsv"
    conda:
        "../../envs/evaluate.yaml"
    threads: config["compute"]["threads"]
    resources:
        mem_mb=config["compute"]["memory_mb"],
        gpu=config["compute"]["gpus"],
    params:
        code=code("zeroshot.py"),
        zeroshot=config["zeroshot"],
        tasks=TASKS,
        embedded=EMBEDDED_TASKS,
        compute=COMPUTE,
    message:
        "Zero-shot accuracy of {wildcards.model}, {wildcards.method} at ratio {wildcards.ratio}"
    script:
        "../scripts/zeroshot.py"
