"""A configuration of two of the paper's models, and what is met in it."""

import pandas as pd

from drank.methods import METHODS
from drank.reporting.material import Material
from drank.reporting.published import beside, published_for
from drank.reporting.published.stated import TASKS

CONFIG = {
    "models": {
        "seven": {"hub": "HuggyLlama/LLaMA-7b", "revision": "abc"},
        "eight": {"hub": "meta-llama/Meta-Llama-3-8B"},
        "mine": {"path": "x"},
    },
    "corpora": {
        "wiki": {"hub": "Salesforce/wikitext", "subset": "wikitext-2-raw-v1"},
        "big-wiki": {"hub": "Salesforce/wikitext", "subset": "wikitext-103-raw-v1"},
        "web": {"hub": "allenai/c4"},
    },
    "tasks": {f"my-{name}": {"harness": name} for name in TASKS} | {"shots": {"harness": "piqa", "fewshot": 5}},
    "calibration": {"corpus": "wiki", "windows": 256, "length": 2048, "seed": 13},
    "perplexity": {"length": 2048},
    "zeroshot": {"tasks": [f"my-{name}" for name in TASKS]},
}
LABELS = ("dense", "svd", "fwsvd", "asvd", "svd-llm", "basis-sharing", "d-rank")
METHODS_OF = {model: {label: METHODS[label] for label in LABELS} for model in CONFIG["models"]}


def material(*runs, name="table3", axes=(), metrics=(("wiki", "perplexity"),), **parts):
    """Runs as (model, method, ratio, values of the axes), each with a number of its own for every metric."""
    rows = [
        {"model": model, "method": method, "label": method, "ratio": ratio, **dict(zip(axes, values, strict=True)), "dataset": dataset}
        | {"metric": metric, "value": 99.0}
        for model, method, ratio, *values in runs
        for dataset, metric in metrics
    ]
    columns = ["model", "method", "label", "ratio", *axes, "dataset", "metric", "value"]
    return Material(name, pd.DataFrame(rows, columns=columns), tuple(axes), **parts)


def met(of, config=CONFIG, methods=METHODS_OF):
    return beside(of, published_for(config), methods, config["calibration"])
