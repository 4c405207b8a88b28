# What making a model reads beside what it is measured on.


def read_of_job(wildcards):
    """The texts that making the model of a job reads, as `corpus.split`."""
    texts = texts_read(READ[wildcards.model], method_of_job(wildcards), float(wildcards.ratio))
    return list(dict.fromkeys(".".join(text) for text in texts.values()))


def overlaps_of_job(wildcards):
    """How much of each text that is measured of a run stands in each that making its model reads."""
    read = read_of_job(wildcards)
    return [f"results/overlap/{wildcards.model}/{text}/{other}.json" for text in splits_of_job(wildcards) for other in read]


def overfitting_of_job(wildcards):
    """The dense model's losses on windows that the calibration of a run read and on others, and that text; where there is one, and perplexity."""
    method = method_of_job(wildcards).at(float(wildcards.ratio))
    if not (config["perplexity"]["overfitting"] and wanted_of_job(wildcards, "perplexity") and method.reads_calibration):
        return []
    tokens = tokens_at(wildcards.model, calibration_options(READ[wildcards.model], method.calibration))
    return [f"results/overfitting/{wildcards.model}{method.calibrated}.json", tokens]
