SHARDS = shards_of(config, CALIBRATIONS.values())  # into how many jobs each step is divided
GATHERING = {"threads": 1, "resources": MODEL_JOB | {"gpu": 0}}  # a job that adds parts reads them layer by layer and loads no model
MEASURING = {"threads": config["compute"]["threads"], "resources": MODEL_JOB}


scattergather:
    **SHARDS,


def parts_at(path):
    """Where the parts lie of what a step leaves at a path."""
    return f"{path.replace('results/', PARTS, 1)}/{{scatteritem}}"


def parts_of(step, path):
    """What a step adds up to its result: the parts of all shares, nothing where one job makes it whole."""
    return getattr(gather, step)(parts_at(path), allow_missing=True) if SHARDS[step] > 1 else []


def job_of(step):
    """What the job asks for that leaves a step's result."""
    return GATHERING if SHARDS[step] > 1 else MEASURING


def timing_of(step, path):
    """Where Snakemake notes the time of that job: of one that adds parts beside theirs."""
    job = f"{path}/of-{SHARDS[step]}" if SHARDS[step] > 1 else path
    return f"results/benchmarks/{step}/{job}.tsv"

