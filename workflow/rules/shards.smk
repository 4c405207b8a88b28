SHARDS = shards_of(config)  # into how many jobs each step is divided


scattergather:
    **SHARDS,


def parts_at(path):
    """Where the parts lie of what a step leaves at a path."""
    return f"{path.replace('results/', PARTS, 1)}/{{scatteritem}}"


def is_whole(step, wildcards):
    """Whether one job leaves a result without parts: of a step that is not divided, of fewer batches than shares, and of what is no sum."""
    return SHARDS[step] == 1 or wildcards.get("labels") == WINDOWS or shards_of(RUNS.as_asked(config, wildcards))[step] < SHARDS[step]


def parts_of(step, path):
    """What a step adds up to its result: the parts of all shares, nothing where one job makes it whole."""
    parts = getattr(gather, step)(parts_at(path), allow_missing=True) if SHARDS[step] > 1 else []
    return lambda wildcards: [] if is_whole(step, wildcards) else [part.format(**wildcards) for part in parts]


def threads_of(step):
    """The threads of the job that leaves a step's result: one that adds parts has one."""
    return lambda wildcards: config["compute"]["threads"] if is_whole(step, wildcards) else 1


def resources_of(step):
    """What that job asks for: one that adds parts reads them layer by layer and loads no model, so that it needs no GPU."""
    return MODEL_JOB | {"gpu": lambda wildcards: config["compute"]["gpus"] if is_whole(step, wildcards) else 0}


def timing_of(step, path):
    """Where Snakemake notes the time of that job: of one that adds parts beside theirs."""
    job = f"{path}/of-{SHARDS[step]}" if SHARDS[step] > 1 else path
    return f"results/benchmarks/{step}/{job}.tsv"

