"""Materials planted from a seed for the figures that need runs along axes: draws, sizes and corpora of the calibration, LoRA, rounding."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from drank.reporting.material import Material
from drank.reporting.summary import COLUMNS
from drank.variants import base_of, variant
from tests.unit.records_fixture import make_plan, make_spectrum

CORPORA = {"docs": 2.4, "reference": 3.3, "code": 3.0}
HURT = {"svd": 4.0, "svd-llm": 0.5, "basis-sharing": 0.6, "d-rank": 0.45, "l-rank": 0.15, "random-ranks": 3.0}


def row(model, label, ratio, dataset, nats, metric="perplexity", **more):
    """A row of numbers with an interval; `nats` is the logarithm of its value."""
    value = math.exp(nats)
    size = {"parameters": 1000, "bytes": int(4000 * (1 - 0.8 * ratio)), "ratio_stored": ratio, "ratio_model": 0.8 * ratio}
    told = {"model": model, "label": label, "ratio": ratio, "dataset": dataset, "metric": metric, "value": value}
    texts = {"calibration": "", "follows": "", "checkpoint": "", "device": "cpu", "kind": "", "rival": "", "method": base_of(label)}
    return told | {"ci_low": 0.94 * value, "ci_high": 1.07 * value} | texts | size | more


def material(name, rows, axes=(), **parts):
    """The material of these rows."""
    columns = ["label", *COLUMNS, *axes]
    frame = pd.DataFrame(rows).reindex(columns=columns)
    return Material(name, frame.astype({column: dtype for column, dtype in COLUMNS.items() if dtype == "float64"}), axes, **parts)


def draws(models=("one",), ratios=(0.2,), seeds=(13, 42, 512, 1024)):
    """Three methods by draw, SVD by none, dense."""
    random = np.random.default_rng(5)
    rows = []
    for model in models:
        for dataset, base in CORPORA.items():
            rows.append(row(model, "dense", 0.0, dataset, base))
            for ratio in ratios:
                rows.append(row(model, "svd", ratio, dataset, base + ratio * 1.1))
                for method in ("svd-llm", "basis-sharing", "d-rank"):
                    for seed in seeds:
                        label = method if seed == seeds[0] else variant(method, {"draw": seed})
                        rows.append(row(model, label, ratio, dataset, base + ratio * HURT[method] * random.uniform(0.9, 1.1), draw=seed))
    return material("draws", rows, ("draw",))


def along(models=("one",), ratios=(0.2,), amounts=(15, 30, 60, 120, 240, 480), axis="windows"):
    """Two methods by amount of text, SVD by none, dense."""
    rows = []
    for model in models:
        for dataset, base in CORPORA.items():
            rows.append(row(model, "dense", 0.0, dataset, base))
            for ratio in ratios:
                rows.append(row(model, "svd", ratio, dataset, base + 3 * ratio))
                for method in ("l-rank", "svd-llm"):
                    for amount in amounts:
                        label = method if amount == 240 else variant(method, {axis: amount})
                        nats = ratio * HURT[method] * (1 + 6 / math.sqrt(amount + 1))
                        rows.append(row(model, label, ratio, dataset, base + nats, **{axis: amount}))
    return material("along", rows, (axis,), options={"axis": axis})


def after(models=("one",), ratios=(0.2, 0.3, 0.4, 0.5)):
    """Three methods with and without LoRA; one by its axis, one as a method of its own that its plans pair, one that is never tuned."""
    rows, plans = [], []
    for model in models:
        for dataset, base in CORPORA.items():
            rows.append(row(model, "dense", 0.0, dataset, base))
            for ratio in ratios:
                for method, tuned in {"svd-llm": "svd-llm+finetune_from=0.2", "d-rank": "tuned-d-rank", "basis-sharing": None}.items():
                    nats = ratio * 2 * HURT[method]
                    rows.append(row(model, method, ratio, dataset, base + nats))
                    if tuned:
                        rows.append(row(model, tuned, ratio, dataset, base + 0.6 * nats, follows="LoRA"))
        for label, start in {"d-rank": None, "tuned-d-rank": 0.2}.items():
            settings = {"title": label, "group": 2, "beta": 0.3, "finetune_from": start}
            plans += [replace(make_plan(model, "d-rank", ratio), method=label, settings=settings) for ratio in ratios]
        plans.append(replace(make_plan(model, "svd-llm", ratios[0]), settings={"title": "SVD-LLM", "group": 1, "finetune_from": None}))
    return material("after", rows, plans=plans)


def frontier(models=("one",), methods=tuple(HURT), ratios=(0.2, 0.4), timed=True):
    """Methods that lose by ratio, rounding to 8 bits that loses nothing and to 4 that loses little, a foreign checkpoint, their speeds."""
    rows = []
    for model in models:
        points = [("dense", 0.0, 0.0, 1.0, 1.0, ""), ("full-rank", 0.0, 0.0, 1.5, 0.7, "")]
        points += [("rounded-8", 0.0, -0.0003, 0.27, 0.9, "a/b@c"), ("rounded-4", 0.0, 0.09, 0.16, 0.8, "a/b@d")]
        points += [("theirs", 0.0, 0.3, 0.7, 1.1, "org/theirs")]
        for place, method in enumerate(methods):
            hurt = HURT.get(method, 0.2 + 0.1 * place)
            points += [(method, ratio, 2 * ratio * hurt, 1 - 0.85 * ratio + 0.003 * place, 0.95 + 0.3 * ratio, "") for ratio in ratios]
        for label, ratio, nats, size, speed, checkpoint in points:
            told = {"bytes": int(40000 * size), "checkpoint": checkpoint}
            rows += [row(model, label, ratio, dataset, base + nats, **told) for dataset, base in CORPORA.items()]
            if timed and label != "dense":
                rows.append(row(model, label, ratio, "decode", math.log(speed), "speedup_over_dense", **told))
    return material("frontier", rows)


def stability(models=("one",), ratios=(0.2, 0.4)):
    """Two methods on 8 to 512 windows, and on 128 windows of other draws and corpora."""
    texts = [{"corpus": "docs", "seed": 13, "windows": windows} for windows in (128, 8, 32, 512)]
    texts += [{"corpus": "docs", "seed": seed, "windows": 128} for seed in (42, 512)]
    texts += [{"corpus": corpus, "seed": 13, "windows": 128} for corpus in ("reference", "code")]
    names = {"corpus": "corpus", "seed": "draw", "windows": "windows"}
    rows, plans, spectra = [], [], []
    random = np.random.default_rng(3)
    for model in models:
        for text in texts:
            changed = {names[key]: value for key, value in text.items() if value != texts[0][key]}
            noise = 0.5 / math.sqrt(text["windows"]) + 0.05 * (text["corpus"] != "docs")
            spectrum = make_spectrum(model)
            groups = [group | {"effective_rank": group["effective_rank"] * (1 + noise * random.normal())} for group in spectrum["groups"]]
            name = variant(spectrum["spectrum"], {"draw": text["seed"], "windows": text["windows"]})
            spectra.append({**spectrum, "spectrum": name, "groups": groups, "calibration": text})
            for method in ("svd-llm", "d-rank"):
                for ratio in ratios:
                    label = variant(method, changed)
                    plan = make_plan(model, method, ratio)
                    shift = noise if method == "d-rank" else 0
                    moved = [replace(group, rank=max(1, int(group.rank * (1 + shift * random.normal())))) for group in plan.groups]
                    plans.append(replace(plan, method=label, groups=tuple(moved), calibration=text))
                    lost = ratio * HURT[method] * (1 + noise)
                    rows += [row(model, label, ratio, dataset, base + lost, **changed) for dataset, base in CORPORA.items()]
    return material("stability", rows, tuple(names.values()), spectra=spectra, plans=plans)


PLANTED = {"draws": draws, "along": along, "after": after, "frontier": frontier, "stability": stability}
