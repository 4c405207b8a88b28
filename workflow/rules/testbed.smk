TESTBED = ["docs-mha", "docs-gqa"]


rule testbed:
    input:
        expand("results/testbed/{name}", name=TESTBED),


rule train:
    input:
        corpus=f"results/corpora/{DOCS}.parquet",
    output:
        directory("results/testbed/{name}"),
    wildcard_constraints:
        name=either(TESTBED),
    log:
        "results/logs/train/{name}.log",
    benchmark:
        "results/benchmarks/train/{name}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=growing(6000),
        runtime=growing(240),
    params:
        code=code("train.py"),
        compute=COMPUTE,
    message:
        "Training the embedded model {wildcards.name} from its seed"
    script:
        "../scripts/train.py"
