"""What a call is asked for, as the configuration that would ask a run for the same."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from drank.allocation.plan import Plan
from drank.calls.fetching import fetch
from drank.calls.texts import Text, corpus_of, label, label_of, listed
from drank.config import ConfigError, check, read_schema, with_beginnings, with_defaults
from drank.corpora.installed import package_versions
from drank.methods import METHODS, Method
from drank.models.families import context_of
from drank.models.gguf import SUFFIX
from drank.models.sources import SourceError, directory_of
from drank.runtime.device import cores
from drank.runtime.files import read_json, write_text
from drank.runtime.home import expanded
from drank.runtime.installing import install
from drank.runtime.shipped import SCHEMA
from drank.runtime.suggestions import near
from drank.testbed import MODELS

NAMES = ("title", "paper", "control", "compresses", "budgeted", "checkpoint", "calibration")
OPTIONS = tuple(field.name for field in fields(Method) if field.name not in NAMES)
"""The options of a method: all that a configuration may set."""

TEXT_OPTIONS = ("windows", "length", "batch", "text_seed", "curvature_windows", "bos")
"""How much of the calibration text is read, and which, and how its windows begin."""

LENGTH = 2048
"""Tokens of a window unless said otherwise, or as many as the model reads at once."""


def source_of(model: str | Path, revision: str | None = None) -> tuple[str, dict[str, Any]]:
    """A name for a model and the entry under `models` that it means: a directory, a GGUF file, a model that drank ships, one of the hub.

    Raises SourceError for anything else.
    """
    name = str(model)
    shipped = sorted(path.parent.name for path in MODELS.glob("*/config.json"))
    if (expanded(name) / "adapter_config.json").is_file():
        raise SourceError(f"{name} holds a PEFT adapter; merge it into its model (merge_and_unload), save that, and name it")
    if expanded(name).is_dir():
        path = expanded(name).resolve()
        return label(path.name) or "model", {"path": str(path)}
    if expanded(name).suffix.lower() == SUFFIX:
        return label(expanded(name).stem) or "model", {"gguf": str(expanded(name).resolve())}
    if name in shipped:
        return name, {"embedded": name}
    if isinstance(model, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return label(name.rpartition("/")[2]), {"hub": name} | ({"revision": revision} if revision else {})
    raise SourceError(
        f"model {name!r} is no directory here{near(name, shipped)}, no GGUF file, no model that drank ships ({', '.join(shipped)}) and "
        "no id of the hub (org/name); name one of these, or give a loaded model with its tokenizer"
    )


def compute_of(device: str, dtype: str, threads: int | None) -> dict[str, Any]:
    """The section `compute`; all cores of this process where no number is given."""
    return {"device": str(device), "dtype": str(dtype).removeprefix("torch."), "threads": cores() if threads is None else threads}


def asked(config: dict[str, Any], folder: Path | None = None) -> dict[str, Any]:
    """A configuration with its defaults as its one model reads it, checked, for work in a `folder`; what it names on the hub is fetched.

    Raises ValueError with everything that is wrong, ImportError naming the packages that are missing, RuntimeError for what the hub does
    not give.
    """
    try:
        config = with_defaults(config, read_schema(SCHEMA))
        require(config)
        check(config, folder, call=True)
    except ConfigError as error:
        raise refused(error.problems) from None
    fetch(config)
    return with_beginnings(config, next(iter(config["models"])))


def refused(problems: Sequence[str]) -> ValueError:
    """The error for a call that asks for what cannot be done, with all that is wrong."""
    return ValueError("this call cannot be carried out:\n  - " + "\n  - ".join(problems))


def require(config: Mapping[str, Any]) -> None:
    """Raise ImportError naming what the pipeline's packages are needed for where they are not installed, before any work starts."""
    wanted: dict[str, tuple[str, ...]] = {f"corpus {name}": ("datasets",) for name, source in config["corpora"].items() if "hub" in source}
    wanted |= {f"task {name}": ("lm_eval", "datasets") for name in config["zeroshot"]["tasks"]}
    for label_, options in config["methods"].items():
        base = METHODS.get(options.get("base", label_))
        if options.get("finetune_from", base.finetune_from if base else None) is not None:
            wanted[f"fine-tuning of {label_}"] = ("peft",)
    missing = {what: [name for name in names if importlib.util.find_spec(name) is None] for what, names in wanted.items()}
    if lines := [f"{what} needs {', '.join(names)}" for what, names in missing.items() if names]:
        raise ImportError(f"{'; '.join(lines)}: {install('pipeline')}")
    if any("embedded" in source for source in config["corpora"].values()):
        package_versions()


def context(source: Mapping[str, Any]) -> int | None:
    """The most tokens that a configured model reads at once; None where it sets no limit or is not here yet."""
    try:
        return context_of(read_json(directory_of(source) / "config.json"))
    except (SourceError, OSError, ValueError):
        return None


def compression(
    name: str,
    source: Mapping[str, Any],
    method: str,
    ratio: float,
    text: Text | Sequence[Text] | None,
    folder: Path,
    split: str | None,
    compute: Mapping[str, Any],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The checked configuration of one model, one method and one ratio. `options` are a method's, `TEXT_OPTIONS`, `search` and `finetune`.

    Raises what `asked` does, TypeError naming options that nobody knows and a plan that is none, ValueError where the method reads text and
    none is given.
    """
    known = (*OPTIONS, *TEXT_OPTIONS, "search", "finetune")
    if unknown := [f"{key!r}{near(key, known)}" for key in options if key not in known]:
        raise TypeError(f"unknown options: {', '.join(unknown)}; known: {', '.join(known)}")
    if "hub" in source:
        fetch({"models": {name: source}})
    chosen = {key: options[key] for key in OPTIONS if key in options}
    if chosen.get("plan") is not None:
        chosen["plan"] = _plan_at(chosen["plan"], folder)
    config: dict[str, Any] = {"models": {name: dict(source)}, "methods": {method: chosen}, "compute": dict(compute)}
    config |= {section: dict(options[section]) for section in ("search", "finetune") if options.get(section)}
    if method not in METHODS or METHODS[method].budgeted:
        config["ratios"] = [float(ratio)]
    texts = listed(text)
    if texts:
        entry, split = corpus_of(texts, split, "train", folder)
        given = {key: options[key] for key in ("windows", "batch", "curvature_windows", "bos") if options.get(key) is not None}
        length = options["length"] if options.get("length") is not None else min(LENGTH, context(source) or LENGTH)
        seed = {"seed": options["text_seed"]} if options.get("text_seed") is not None else {}
        corpus = label_of(texts[0], 1) if len(texts) == 1 else "text"
        config |= {"corpora": {corpus: entry}, "calibration": {"corpus": corpus, "split": split, "length": length, **given, **seed}}
    elif method in METHODS and _reads_text(method, chosen, ratio):
        raise ValueError(f"method {method} reads calibration text and none was given: text=['my.txt'] (--text my.txt on the command line)")
    elif idle := [key for key in TEXT_OPTIONS if options.get(key) is not None]:
        raise refused([f"{', '.join(idle)} say how much text is read, and none is given: text=… (--text)"])
    return asked(config, folder)


def _plan_at(plan: Any, folder: Path) -> str:
    """The file of a plan; one that a call has returned is written into the folder of this one."""
    if isinstance(plan, Plan):
        write_text(folder / "given.json", plan.to_json())
        return str((folder / "given.json").resolve())
    if not isinstance(plan, str | Path):
        raise TypeError(f"plan={plan!r} is no plan; name its file, or give what drank.plan returns")
    return str(expanded(plan).resolve()) if str(plan) else ""


def _reads_text(method: str, chosen: Mapping[str, Any], ratio: float) -> bool:
    from drank.config.method_entries import method_of

    try:
        found = method_of(method, chosen).at(float(ratio))
    except (ValueError, TypeError):
        return False  # `asked` tells what is wrong
    return found.reads_text
