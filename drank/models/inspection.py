"""What a directory is: a compressed model, a dense one, somebody else's checkpoint, an adapter, the results of a run, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drank.models.card import base
from drank.models.card.markdown import amount, duration, percent, section_in
from drank.models.card.writing import stated_hashes
from drank.models.description import described, is_compressed
from drank.models.documents import CARD, DATA, GRAPH, MAKING
from drank.models.families import FAMILIES, UnknownFamilyError, family_of, kind_of, layers_of
from drank.models.inspected import Inspection
from drank.models.licence import front_matter, licence_of
from drank.models.rank_summary import rank_summary
from drank.models.tensors import size_of, stored_tensors
from drank.models.tied import counted
from drank.models.verification import verify, verify_files
from drank.runtime.files import read_json

RESULTS = {"summary.csv": "every number", "report.html": "the report", "models": "compressed models", "plans": "the rank of every matrix"}
"""What a folder of results may hold."""

_KNOWN_BY = ("summary.csv", "report.html", "sources")
"""One of these tells it from other folders; the last is there from the first step on."""


def inspect(directory: str | Path, hashes: bool = True) -> Inspection:
    """What a directory is, and whether its files are what they should be; without `hashes` these are not looked at.

    Raises CheckpointError where weights are damaged, or not those that the card or config.json of a model states.
    """
    directory = Path(directory)
    if (directory / "adapter_config.json").is_file():
        return _adapter(directory)
    if (directory / GRAPH).is_file() and not any(directory.glob("*.safetensors")):
        return _onnx(directory, hashes)
    if (directory / "config.json").is_file():
        config = read_json(directory / "config.json")
        if "drank" in config:
            return _with_code(directory, config, hashes)
        quantization = config.get("quantization_config") or {}
        method = quantization.get("quant_method")
        if is_compressed(quantization):
            return _compressed(directory, quantization, hashes)
        return _quantized(directory, str(method or "another quantisation")) if quantization else _dense(directory, hashes)
    results = directory / "results" if (directory / "results").is_dir() else directory
    if any((results / name).exists() for name in _KNOWN_BY):
        return _results(results)
    there = "a folder without a model" if directory.is_dir() else "a file, no folder of a model" if directory.exists() else "not there"
    return Inspection(directory, "nothing", f"{there}; drank shows folders with a config.json, adapters and results of a run")


def _compressed(directory: Path, quantization: Mapping[str, Any], hashes: bool) -> Inspection:
    making = read_json(directory / MAKING) if (directory / MAKING).is_file() else None
    size, settings = size_of(directory), (making or {}).get("method", {})
    dense = round(size.parameters / (1 - size.ratio_model))
    facts = [
        ("base model", _base(making)),
        ("method", f"{settings.get('title', making['label'])} ({making['label']})" if making else "not noted down"),
        ("ratio", f"{making['ratio']:g} asked for" if making else "not noted down"),
        ("removed", f"{percent(size.ratio_stored)} of the projections, {percent(size.ratio_model)} of the model"),
        ("parameters", f"{size.parameters:,} of {dense:,}"),
        ("weights", amount(size.bytes)),
        ("licence", base.licence(making) if making else licence_of(directory)),
        ("made", _made(making) if making else f"with drank {quantization.get('drank_version', 'unknown')}"),
        *(("text", _text(purpose, text)) for purpose, text in (base.texts(making) if making else ())),
        ("load", f"import drank; AutoModelForCausalLM.from_pretrained({str(directory)!r})"),
    ]
    if (directory / CARD).is_file() and section_in((directory / CARD).read_text("utf-8", "replace"), "note"):
        facts.append(("note", "saved again with other weights than those that the card describes"))
    ranks = [("projection", "stored", "smallest", "median", "largest", "full", "kept")]
    ranks += [(kind.kind, kind.stored, *kind.ranks, str(kind.full), percent(kind.kept)) for kind in rank_summary(described(quantization))]
    tables = [("ranks", tuple(ranks)), *_settings(settings), *_numbers(directory)]
    verified = verify(directory) if hashes else ""
    return Inspection(directory, "compressed", "a model compressed by drank", tuple(facts), tuple(tables), verified)


def _dense(directory: Path, hashes: bool) -> Inspection:
    config = read_json(directory / "config.json")
    model_type, tensors = str(config.get("model_type")), counted(stored_tensors(directory), config)
    facts = [("family", model_type)]
    card = directory / CARD
    stated = card.is_file() and stated_hashes(card.read_text("utf-8", "replace"))
    try:
        family = family_of(config)
    except UnknownFamilyError:
        known = (
            f"{'this variant of it is ' if model_type in FAMILIES else ''}unknown to drank, which compresses {', '.join(sorted(FAMILIES))}"
        )
        facts = [("family", f"{model_type}, {known}")]
    else:
        kinds = dict.fromkeys(kind_of(role) for role in family.roles)
        facts += [("layers", str(layers_of(config))), ("projections", ", ".join(kinds))]
        facts += [] if stated else [("compress", f"drank compress {directory} --text my.txt --out smaller")]
    facts += [("parameters", f"{sum(tensor.elements for tensor in tensors.values()):,}")]
    facts += [("weights", amount(sum(tensor.bytes for tensor in tensors.values()))), ("licence", licence_of(directory))]
    what = "a plain model, merged from one that drank compressed" if stated else "a dense model"
    return Inspection(directory, "dense", what, tuple(facts), verified=verify(directory) if hashes else "")


def _onnx(directory: Path, hashes: bool) -> Inspection:
    files = [directory / name for name in (GRAPH, DATA)]
    config = directory / "config.json"
    facts = (
        *((("family", str(read_json(config).get("model_type"))),) if config.is_file() else ()),
        ("weights", amount(sum(path.stat().st_size for path in files if path.exists()))),
        ("licence", licence_of(directory)),
    )
    verified = verify_files(directory, files) if hashes else ""
    return Inspection(directory, "onnx", "an ONNX model, for ONNX Runtime; its README.md says how to run it", facts, verified=verified)


def _with_code(directory: Path, config: Mapping[str, Any], hashes: bool) -> Inspection:
    tensors = counted(stored_tensors(directory), config)
    code = str(config.get("auto_map", {}).get("AutoModelForCausalLM")).rpartition("--")[2].partition(".")[0] + ".py"
    there = "which transformers runs where you trust it" if (directory / code).is_file() else "which is not there: export the model again"
    facts = (
        ("family", str(config.get("model_type"))),
        ("code", f"{code}, {there}"),
        ("low-rank", f"{sum(len(group['modules']) for group in config['drank']['groups'])} projections"),
        ("parameters", f"{sum(tensor.elements for tensor in tensors.values()):,}"),
        ("weights", amount(sum(tensor.bytes for tensor in tensors.values()))),
        ("licence", licence_of(directory)),
        ("load", f"AutoModelForCausalLM.from_pretrained({str(directory)!r}, trust_remote_code=True)"),
    )
    what = "a model compressed by drank, exported with code of its own"
    return Inspection(directory, "remote code", what, facts, verified=verify(directory) if hashes else "")


def _quantized(directory: Path, method: str) -> Inspection:
    facts = (("family", str(read_json(directory / "config.json").get("model_type"))), ("licence", licence_of(directory)))
    return Inspection(directory, "quantized", f"a checkpoint of {method}, not of drank, which compresses and reads dense models", facts)


def _adapter(directory: Path) -> Inspection:
    config = read_json(directory / "adapter_config.json")
    facts = [("on", str(config.get("base_model_name_or_path"))), ("kind", str(config.get("peft_type")))]
    facts += [("rank", str(config["r"]))] if "r" in config else []
    targets = config.get("target_modules")
    facts += [("modules", targets if isinstance(targets, str) else ", ".join(sorted(targets)))] if targets else []
    facts += [("load", f"import drank; PeftModel.from_pretrained(model, {str(directory)!r})")]
    return Inspection(directory, "adapter", "a PEFT adapter, to be put on a model", tuple(facts))


def _results(directory: Path) -> Inspection:
    facts = [(name, what) for name, what in RESULTS.items() if (directory / name).exists()]
    models = sorted(path.parent.relative_to(directory / "models") for path in directory.glob("models/*/*/*/config.json"))
    rows = (("model", "method", "ratio"), *(tuple(path.parts) for path in models))
    return Inspection(directory, "results", "the results of a run", tuple(facts), (("models", rows),) if models else ())


def _base(making: Mapping[str, Any] | None) -> str:
    if making is None:
        return "not noted down"
    source = (making.get("base") or {}).get("source", {})
    return base.base_name(making) + (f", revision {source['revision']}" if "revision" in source else "")


def _made(making: Mapping[str, Any]) -> str:
    where = (making["device"] != "cpu" and making["machine"].get("gpu")) or making["machine"]["cpu"]
    return f"{making['date'][:10]} with drank {making['drank']}, in {duration(making['seconds'])} on {where}"


def _text(purpose: str, text: Mapping[str, Any]) -> str:
    size = f", {text['windows']} × {text['length']} tokens" if {"windows", "length"} <= text.keys() else ""
    return f"{text.get('corpus', '?')}{', ' + text['split'] if 'split' in text else ''}{size} ({purpose})"


def _settings(settings: Mapping[str, Any]) -> list[tuple[str, tuple[tuple[str, ...], ...]]]:
    """The settings that are given a value, a line each."""
    rows = tuple((name, base.setting(value)) for name, value in settings.items() if name not in base.NOT_SETTINGS and value is not None)
    return [("settings", rows)] if rows else []


def _numbers(directory: Path) -> list[tuple[str, tuple[tuple[str, ...], ...]]]:
    """What the front matter of the card tells of measurements."""
    rows = []
    for index in front_matter(directory / CARD).get("model-index") or ():
        for result in index["results"]:
            rows += [(result["dataset"]["name"], metric["name"], f"{metric['value']:.4g}") for metric in result["metrics"]]
    return [("numbers", (("measured on", "metric", "value"), *rows))] if rows else []
