"""The whole card from plain dictionaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drank.models.card import base
from drank.models.card.markdown import amount, count, duration, percent, section, table, with_front_matter
from drank.models.card.numbers import model_index, numbers
from drank.models.groups import Group
from drank.models.hashes import WeightHashes
from drank.models.rank_summary import rank_summary
from drank.models.tensors import StoredSize

PLACE = "path/to/this/model"
"""What stands in the example for the place of the model, until it has a name on the hub."""


def render(
    groups: Sequence[Group],
    size: StoredSize,
    hashes: WeightHashes,
    making: Mapping[str, Any] | None = None,
    own: Sequence[Mapping[str, Any]] = (),
    dense: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The card of a compressed model: what was made and how (making.json, None where it is lost), its size, its numbers, its hashes.

    `own` and `dense` are records of the model and of the dense one, as dictionaries.
    """
    settings = making["method"] if making else {}
    name, method = base.base_name(making), settings.get("title") or (making or {}).get("label") or "SVD"
    title = f"{name.rpartition('/')[2]} compressed by {method}" + (f" at ratio {making['ratio']:g}" if making else "")
    parts = [
        f"# {title}",
        _summary(name, method, size, making),
        section("note", ""),
        f"## Loading\n\n{_loading()}",
        f"## Numbers\n\n{section('numbers', numbers(own, dense))}",
        f"## Method\n\n{_method(method, settings, making)}",
        f"## Texts\n\n{base.texts_section(making)}",
        f"## Ranks\n\n{_ranks(groups)}",
        f"## Making\n\n{_making(making)}",
        f"## Base model\n\n{base.base_section(making)}",
        f"## Licence\n\n{base.licence_section(making)}",
        f"## Citing\n\n{_citation(method, settings)}",
        f"## Files\n\n{section('files', files_section(hashes))}",
    ]
    return with_front_matter(_metadata(making, own), "\n\n".join(parts) + "\n")


def files_section(hashes: WeightHashes) -> str:
    """The weight files with size and SHA-256, and the SHA-256 of all tensors, in the form that `drank.models.card.writing` reads back."""
    rows = [[f"`{name}`", f"{file.bytes:,}", f"`{file.sha256}`"] for name, file in hashes.files.items()]
    return f"{table(['file', 'bytes:', 'SHA-256'], rows)}\n\nAll tensors, whatever file they are in: `{hashes.tensors}`"


def card_name(making: Mapping[str, Any] | None) -> str:
    """What the model is called among the numbers of the hub."""
    return f"{making['model']}-{making['label']}-{making['ratio']:g}" if making else "model"


def _metadata(making: Mapping[str, Any] | None, own: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    hub, label = base.hub_id(making), (making or {}).get("label")
    paper = str((making or {}).get("method", {}).get("paper", ""))
    tags = ["drank", "svd", "low-rank", label, paper.lower() if paper.startswith("arXiv:") else None]
    return {
        **base.licence_entries(making),
        "base_model": hub,
        "base_model_relation": "quantized" if hub else None,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": list(dict.fromkeys(tag for tag in tags if tag)),
        "model-index": model_index(card_name(making), own),
    }


def _summary(name: str, method: str, size: StoredSize, making: Mapping[str, Any] | None) -> str:
    dense = round(size.parameters / (1 - size.ratio_model))
    pivoted = (making or {}).get("method", {}).get("storage") == "pivoted"
    form = ", of the first without the rows that are an identity," if pivoted else ","
    asked = f" at ratio {making['ratio']:g}" if making else ""
    rows = [
        ["parameters", f"{size.parameters:,}", f"{dense:,}"],
        ["size of the stored weights", amount(size.bytes), amount(round(size.bytes * dense / size.parameters))],
        ["removed from the compressed projections", percent(size.ratio_stored), "–"],
        ["removed from the whole model", percent(size.ratio_model), "–"],
    ]
    return (
        f"{name}, compressed by {method}{asked}: {count(size.parameters)} parameters instead of {count(dense)}. "
        f"Weight matrices are stored as the product of two thin ones{form} an SVD cut off at the rank given to each; embeddings, norms and "
        "all else of the architecture are as they were. "
        f"Made with drank{' ' + making['drank'] if making else ''}.\n\n{table(['', 'this model:', 'dense:'], rows)}"
    )


def _loading() -> str:
    return f"""```bash
pip install ./drank  # a clone of its repository
```

```python
import drank  # lets transformers read the low-rank layers
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("{PLACE}")
tokenizer = AutoTokenizer.from_pretrained("{PLACE}")
```

Without `import drank` loading ends in an error. The factors are ordinary `nn.Linear` modules: for LoRA give PEFT
`target_modules=["basis", "coefficients"]`. For programs that know no low-rank layers `drank.export("{PLACE}", "plain", to="dense")`
multiplies the factors out into an ordinary checkpoint, as large as the dense one. `drank.show("{PLACE}")` checks the files against the
hashes below."""


def _method(method: str, settings: Mapping[str, Any], making: Mapping[str, Any] | None) -> str:
    if making is None:
        return "Which method made this model was not noted down."
    rows = [
        ["ratio", f"{making['ratio']:g}"],
        *([key, base.setting(value)] for key, value in settings.items() if key not in base.NOT_SETTINGS),
    ]
    written = [[f"`{key}`", value] for key, value in rows]
    return f"{method} (`{making['label']}`), with every setting in effect:\n\n{table(['setting', 'value'], written)}"


def _ranks(groups: Sequence[Group]) -> str:
    rows = [[kind.kind, kind.stored, *kind.ranks, kind.full, percent(kind.kept)] for kind in rank_summary(groups)]
    head = ["projection", "stored", "smallest rank:", "median:", "largest:", "full rank:", "parameters kept:"]
    return f"{table(head, rows)}\n\n`plan.json`, where it is there, has the rank of every matrix."


def _making(making: Mapping[str, Any] | None) -> str:
    if making is None:
        return "How and when this model was made was not noted down."
    machine, stages = making["machine"], making.get("stages") or {}
    gpu = f"{machine['gpu']}, " if machine.get("gpu") and making["device"] != "cpu" else ""
    packages = making.get("packages") or {}
    versions = [f"{name} {packages[name]}" for name in ("python", "torch", "transformers", "safetensors") if name in packages]
    git = making.get("git")
    changes = {True: " with changes", False: "", None: " (changes not known)"}
    commit = f", commit `{git['commit'][:12]}`{changes[git['dirty']]}" if git else ""
    rows = [
        ["finished", making["date"]],
        ["took", duration(making["seconds"]) + "".join(f"; {name} {duration(seconds)}" for name, seconds in stages.items())],
        ["on", f"{gpu}{machine['cpu']}, {making['threads']} of {machine['cores']} cores, {amount(machine['memory_bytes'])} of memory"],
        ["peak memory", amount(making["peak_memory_bytes"])],
        ["with", f"drank {making['drank']}{commit}; {', '.join(versions)}"],
    ]
    return (
        f"{table(['', ''], rows)}\n\nThe time is that of compressing alone; calibration and decomposition are shared by methods and ratios."
    )


def _citation(method: str, settings: Mapping[str, Any]) -> str:
    paper = str(settings.get("paper") or "")
    if paper.startswith("arXiv:"):
        what = f"{method}: [{paper}](https://arxiv.org/abs/{paper.removeprefix('arXiv:')})."
    elif paper.startswith("github.com/"):
        what = f"{method}: [{paper}](https://{paper})."
    elif paper:
        what = f"{method} is described in `{paper}` of drank's own documentation."
    else:
        what = f"{method} has no paper of its own."
    return f"{what} Please cite the base model, the method and drank."
