"""The steps on the way to a compressed model, in order, as the rules of the workflow would carry them out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drank.allocation.plan import Plan
from drank.compression.making import making_of
from drank.config import gradient_options, ratios_of
from drank.config.chain import Chain, texts_of, tokens_at
from drank.config.resolved import methods_for, perplexity_options
from drank.corpora import commit_of, listed
from drank.corpora.installed import package_versions
from drank.evaluation.zeroshot import files_of
from drank.methods import METHODS
from drank.models.description import is_compressed
from drank.models.documents import MAKING, PLAN
from drank.runtime.files import read_json

DOCS = {"embedded": "python-docs"}
"""The corpus out of whose held-out documents embedded tasks are made."""

RESUMED = ("calibrate", "gradients", "spectrum", "relinearise", "compress")
"""Steps that go on where an interrupted one stopped, for which they have to know the code."""


PLACES = "places"
"""The parameter that says where models lie, which decides no result: what they are is in what was found there."""


@dataclass(frozen=True)
class Task:
    """One step: the rule that does it in a run, what it writes, the files that it reads (paths of a run's folder) and its parameters.

    `outside` is what else decides the result: files that are no step's.
    """

    rule: str
    output: str
    files: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    outside: Any = None


def chain_of(config: Mapping[str, Any]) -> Chain:
    """The way to the one model that a configuration of one model, one method and one ratio asks for."""
    model = next(iter(config["models"]))
    label, method = next(iter(methods_for(config, model).items()))
    return Chain(model, label, method, f"{ratios_of(config, method)[0]:g}", texts_of(config, method))


def compute_params(config: Mapping[str, Any]) -> dict[str, Any]:
    """What every step that runs a model is told of the machine."""
    compute = config["compute"]
    return {"compute": {key: compute[key] for key in ("device", "dtype")}, "threads": compute["threads"], **places_param(config)}


def places_param(config: Mapping[str, Any]) -> dict[str, Any]:
    """Where the models lie, for every step that reads one."""
    return {PLACES: {name: {key: value for key, value in source.items() if key != "methods"} for name, source in config["models"].items()}}


def source_task(config: Mapping[str, Any], model: str) -> Task:
    """Find the model and hash its files."""
    params = {"name": model, "source": places_param(config)[PLACES][model]}
    return Task("source", f"results/sources/{model}.json", params=params, names={"model": model})


def text_tasks(config: Mapping[str, Any], model: str, texts: Mapping[tuple[str, str], None]) -> Iterator[Task]:
    """Read and tokenise these (corpus, split)."""
    for corpus in dict.fromkeys(corpus for corpus, _ in texts):
        source = {key: value for key, value in config["corpora"][corpus].items() if key != "characters"}
        paths = [path for entry in source.get("files", {}).values() for path in listed(entry)]
        outside = package_versions() if "embedded" in source else commit_of(source) if "hub" in source else paths
        yield Task("corpus", f"results/corpora/{corpus}.parquet", params={"source": source}, names={"corpus": corpus}, outside=outside)
    for corpus, split in texts:
        files = {"corpus": f"results/corpora/{corpus}.parquet", "source": f"results/sources/{model}.json"}
        params = {"name": corpus, "split": split, "characters": config["corpora"][corpus].get("characters"), **places_param(config)}
        output = tokens_at(model, {"corpus": corpus, "split": split})
        yield Task("tokenize", output, files, params, {"model": model, "corpus": corpus, "split": split})


def tasks_to_plan(config: Mapping[str, Any], chain: Chain) -> Iterator[Task]:
    """All steps from the model and the text to the plan."""
    method, ratio = chain.method.at(float(chain.ratio)), float(chain.ratio)
    compute = compute_params(config)
    source, own = {"source": chain.source}, {"model": chain.model, "method": chain.label, "ratio": chain.ratio}
    place = {"model": chain.model, "spectrum": method.spectrum}
    gradient_text = {labels: gradient_options(config, labels) for labels in method.passes}
    yield source_task(config, chain.model)
    told = {"calibration": method.reads_calibration, "search": method.searches, "finetune": method.finetunes(ratio)}
    read = [chain.texts[text] for text, needed in told.items() if needed]
    yield from text_tasks(config, chain.model, {(options["corpus"], options["split"]): None for options in read})
    texts = {text: {"tokens": chain.tokens(text)} for text, needed in told.items() if needed}
    if chain.calibrated:
        params = {"calibration": chain.texts["calibration"], **compute}
        yield Task("calibrate", chain.moments, source | texts["calibration"], params, {"model": chain.model})
    for labels, options in gradient_text.items():
        params = {"calibration": options, "labels": labels, "outputs": method.reads_outputs(labels), **compute}
        yield Task("gradients", chain.gradients(labels), source | texts["calibration"], params, {"model": chain.model, "labels": labels})
    recipe = {"weighting": method.weighting, "options": method.weighting_options, "group": method.group}
    yield Task("spectrum", chain.spectrum, source | chain.spectrum_inputs(), {"names": place, **recipe, **compute}, place)
    if "slopes" in method.needs:
        yield Task(
            "slopes", chain.slopes, source | {"spectra": chain.spectrum, "gradients": chain.gradients(method.labels)}, compute, place
        )
    if "sensitivity" in method.needs:
        params = {"search": chain.texts["search"], **compute}
        yield Task("sensitivity", chain.sensitivity, source | {"spectra": chain.spectrum} | texts["search"], params, place)
    if method.relinearises:
        again = {"options": method.weighting_options, "calibration": gradient_text[method.weighing_pass]}
        params = {"names": own, "settings": method.ranking(), **again, **compute}
        yield Task("relinearise", chain.steps, source | {"spectra": chain.spectrum} | texts["calibration"], params, own)
    if method.chooses:
        params = {"names": own, "settings": method.ranking(), "search": chain.texts["search"], **compute}
        yield Task("selection", chain.selection, source | {"evidence": chain.evidence()} | texts["search"], params, own)
    files = {"evidence": chain.evidence(), **chain.told(), **chain.given}
    yield Task("allocate", chain.plan, files, {"names": own, "settings": chain.method.settings(ratio)}, own)


def compress_task(config: Mapping[str, Any], chain: Chain) -> Task:
    """From the plan to the model."""
    files = {"source": chain.source, "plan": chain.plan, "spectra": chain.spectra, **chain.compress_texts()}
    params = compute_params(config)
    params |= {"calibration": chain.texts["calibration"]} if "tokens" in files else {}
    params |= {"training": chain.texts["finetune"]} if "finetune_tokens" in files else {}
    return Task("compress", chain.made, files, params, {"model": chain.model, "method": chain.label, "ratio": chain.ratio})


def _about(directory: Path) -> dict[str, str]:
    """Model, method and ratio of a directory that drank compressed, from its plan or its making; empty for any other."""
    if not is_compressed(read_json(directory / "config.json").get("quantization_config")):
        return {}
    if (directory / PLAN).is_file():
        plan = Plan.read(directory / PLAN)
        return {"model": plan.model, "method": plan.method, "ratio": f"{plan.ratio:g}"}
    made = making_of(directory)
    if made is None:
        raise ValueError(f"{directory} is compressed by drank and has neither {PLAN} nor {MAKING} to say how; copy one of them there")
    return {"model": made["model"], "method": made["label"], "ratio": f"{made['ratio']:g}"}


def tasks_to_measure(config: Mapping[str, Any], name: str, directory: Path, splits: Mapping[str, str]) -> Iterator[Task]:
    """All steps from a model in a directory, and the text in these splits by corpus, to its records."""
    specs, compute = config["tasks"], compute_params(config)
    embedded = [task for task, spec in specs.items() if "embedded" in spec]
    yield source_task(config, name)
    yield from text_tasks(config, name, {(corpus, splits[corpus]): None for corpus in config["perplexity"]["corpora"]})
    if embedded:
        docs = "results/corpora/embedded-python-docs.parquet"
        yield Task("corpus", docs, params={"source": DOCS}, names={"corpus": "python-docs"}, outside=package_versions())
        for task in embedded:
            yield Task("task", f"results/tasks/{task}.jsonl", {"corpus": docs}, {"name": specs[task]["embedded"]}, {"task": task})
    names = _about(directory) or {"model": name, "method": "dense", "ratio": "0"}
    dense = METHODS["dense"].settings() if names["method"] == "dense" else None
    model = f"results/sources/{name}.json"
    if splits or specs:
        tokens = [tokens_at(name, {"corpus": corpus, "split": splits[corpus]}) for corpus in config["perplexity"]["corpora"]]
        files = {"model": model, "tokens": tokens, "items": {task: f"results/tasks/{task}.jsonl" for task in embedded}}
        params = {"names": names, "tasks": specs, "data": [path for spec in specs.values() for path in files_of(spec)], "dense": dense}
        params |= {
            "perplexity": perplexity_options(config),
            "zeroshot": config["zeroshot"],
            "seen": config["perplexity"]["seen"],
            **compute,
        }
        yield Task("evaluate", "results/evaluation", files, params, names)
    if "throughput" in config:
        params = {"names": {key: names[key] for key in ("model", "ratio")}, "throughput": config["throughput"], "dense": dense, **compute}
        yield Task("throughput", "results/throughput", {"models": {names["method"]: model}}, params, names)
