# Models that are a shape alone: nothing is decomposed, and factors are drawn. The rest of their way is that of all others.
ruleorder: compress_shape > compress


rule compress_shape:
    input:
        source="results/sources/{model}.json",
        plan="results/plans/{model}/{method}/{ratio}.json",
    output:
        made("results/models/{model}/{method}/{ratio}"),
    wildcard_constraints:
        model=either(SHAPES),
    log:
        "results/logs/compress/{model}/{method}/{ratio}.log",
    benchmark:
        "results/benchmarks/compress/{model}/{method}/{ratio}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **SMALL_JOB,
    params:
        code=code("compress_shape.py"),
        places=places,
        compute=COMPUTE,
    message:
        "Drawing {wildcards.model} as compressed by {wildcards.method} at ratio {wildcards.ratio}"
    script:
        "../scripts/compress_shape.py"
