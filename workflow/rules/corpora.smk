rule corpus:
    input:
        local_files,
    output:
        "results/corpora/{corpus}.parquet",
    log:
        "results/logs/corpus/{corpus}.log",
    benchmark:
        "results/benchmarks/corpus/{corpus}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    priority: FIRST
    resources:
        **TEXT_JOB,
    params:
        code=code("corpus.py"),
        corpus=lambda wildcards: identity_of_corpus(CORPORA[wildcards.corpus]),
        source=lambda wildcards, input: {key: value for key, value in CORPORA[wildcards.corpus].items() if key != "characters"},
        versions=lambda wildcards: package_versions() if "embedded" in CORPORA[wildcards.corpus] else None,
    message:
        "Reading corpus {wildcards.corpus}"
    script:
        "../scripts/corpus.py"


rule task:
    input:
        corpus=f"results/corpora/{DOCS}.parquet",
    output:
        jsonl="results/tasks/{task}.jsonl",
        definition="results/tasks/{task}.yaml",
    log:
        "results/logs/task/{task}.log",
    benchmark:
        "results/benchmarks/task/{task}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        **SMALL_JOB,
    params:
        code=code("task.py"),
        name=lambda wildcards: config["tasks"][wildcards.task]["embedded"],
    message:
        "Building task {wildcards.task} from held-out documentation"
    script:
        "../scripts/task.py"


rule tokenize:
    input:
        corpus="results/corpora/{corpus}.parquet",
        source="results/sources/{model}.json",
    output:
        "results/tokens/{model}/{corpus}.{split}.safetensors",
    log:
        "results/logs/tokenize/{model}/{corpus}.{split}.log",
    benchmark:
        "results/benchmarks/tokenize/{model}/{corpus}.{split}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    priority: FIRST
    resources:
        **TEXT_JOB,
    params:
        code=code("tokenize.py"),
        places=places,
        characters=lambda wildcards: CORPORA[wildcards.corpus].get("characters"),
    message:
        "Tokenising {wildcards.corpus} ({wildcards.split}) for {wildcards.model}"
    script:
        "../scripts/tokenize.py"
