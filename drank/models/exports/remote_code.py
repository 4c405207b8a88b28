"""A compressed model with code of its own: what is stored stays low-rank, and a file beside it tells programs without drank how to run it.

That file is `modeling_drank.py`, which stands beside this one. Tensors are read and written one at a time; of the model only the skeleton
is built, to see what it lacks.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.models.card.exported import remote_code_card
from drank.models.documents import CARD, MAKING
from drank.models.exports.checked import description_of, whole_groups
from drank.models.exports.dense import OURS
from drank.models.exports.writing import Output, read_one, take_along, write_shards
from drank.models.families import FAMILIES, layers_of, module_path
from drank.models.groups import Group
from drank.models.hashes import weight_hashes
from drank.models.headers import StoredTensor
from drank.models.tensors import by_stored_name, module_name, stored_tensors
from drank.runtime.files import read_json, replacing, share_mode, write_json

if TYPE_CHECKING:
    from torch import Tensor

CODE = "modeling_drank.py"
"""The file that is shipped with such a model."""

ENTRY = "drank"
"""The entry of config.json that says which layers are low-rank."""

_EXPERT = re.compile(r"\.experts\.(\d+)\.(gate|up|down)_proj\b")
_NOT_SERVED = ("gpt2",)
"""The families that vLLM's Transformers backend does not run, low-rank or not, beside mixtures, whose experts it fuses."""


def add_code(directory: str | Path, out: str | Path, max_shard_size: int | str = "5GB") -> Path:
    """Write the model of a compressed directory with code of its own into `out`, whole or not at all; returns `out`.

    It has the tensors of the compressed model, so that it computes the same and is as large, and the names of transformers' modules.
    Raises CheckpointError where the directory holds no whole compressed model, or other weights than its card states, ValueError where
    `out` is that directory.
    """
    directory, out = Path(directory), Path(out)
    config = description_of(directory)
    if out.resolve() == directory.resolve():
        raise ValueError(f"{out} is the model that is to be exported; name another folder for the one with code")
    groups = whole_groups(directory, config["model_type"])
    making = read_json(directory / MAKING) if (directory / MAKING).is_file() else None
    served = not FAMILIES[config["model_type"]].mixture and config["model_type"] not in _NOT_SERVED
    with replacing(out) as temporary:
        temporary.mkdir()
        write_json(temporary / "config.json", {key: value for key, value in config.items() if key not in OURS} | _entries(config, groups))
        write_shards(temporary, _outputs(directory, config["model_type"], groups), max_shard_size)
        shutil.copyfile(Path(__file__).with_name(CODE), temporary / CODE)
        take_along(directory, temporary)
        share_mode(temporary.glob("*.safetensors"), temporary / "config.json")
        card = remote_code_card(directory.resolve().name, CODE, served, weight_hashes(temporary), making)
        (temporary / CARD).write_text(card, "utf-8")
    return out


def _entries(config: Mapping[str, Any], groups: tuple[Group, ...]) -> dict[str, Any]:
    """What config.json of a model with code has, and that of its dense one has not, or has otherwise."""
    from transformers.models.auto import modeling_auto as known

    from drank.models.exports.modeling_drank import SEAL

    model_type = config["model_type"]
    names = {
        "AutoModel": known.MODEL_MAPPING_NAMES[model_type],
        "AutoModelForCausalLM": known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[model_type],
        "AutoModelForSequenceClassification": known.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.get(model_type),
    }
    classes = {auto: f"Drank{name}" for auto, name in names.items() if name}
    rows = [
        {
            "modules": [_path(module_path(model_type, layer, group.shape.role)) for layer in group.shape.layers],
            "rank": group.rank,
            "storage": group.shape.storage,
        }
        for group in groups
        if not group.dense
    ]
    family = FAMILIES[model_type]
    experts = [f"{family.blocks}.{layer}.mlp.experts" for layer in range(layers_of(config))] if family.mixture else []
    divided = config.get("logits_scaling")  # Granite's: servers that run transformers' modules make logits themselves, and read the inverse
    return {
        "architectures": [classes["AutoModelForCausalLM"]],  # no name of a stock class, by which servers would take that
        "auto_map": {auto: f"{CODE.removesuffix('.py')}.{name}" for auto, name in classes.items()},
        ENTRY: {"format": 1, "experts": experts, "groups": rows},
        "transformers_weights": SEAL,
    } | ({"logit_scale": 1 / divided} if divided else {})


def _path(path: str) -> str:
    """The path that a projection of drank has in the modules of the code, where experts keep out of the way of transformers' fusing."""
    return _EXPERT.sub(r".experts.each.\1.\2", path)


def _outputs(directory: Path, model_type: str, groups: tuple[Group, ...]) -> Iterator[Output]:
    """The tensors that are stored, under the names that the modules of the code have."""
    from drank.models.exports.modeling_drank import SEAL

    inputs = {
        _path(module_path(model_type, group.shape.layers[0], group.shape.role)): group.shape.rows
        for group in groups
        if group.shape.form.pivots and not group.dense
    }
    for stored, tensor in by_stored_name(model_type, stored_tensors(directory)).items():
        name = _path(module_name(model_type, stored))
        if not tensor.elements and not name.endswith(".weight"):
            yield Output(SEAL, 0, partial(read_one, tensor))
        elif (path := name.removesuffix(".pivots")) in inputs:
            yield Output(f"{path}.order", 8 * inputs[path], partial(_order, tensor, inputs[path]))
        else:
            yield Output(name, tensor.bytes, partial(read_one, tensor))


def _order(pivots: StoredTensor, inputs: int) -> Tensor:
    """The numbers of all inputs, (d1,): first of those that are pivots, then of the others."""
    import torch

    chosen = read_one(pivots).long()
    others = torch.ones(inputs, dtype=torch.bool)
    others[chosen] = False
    return torch.cat([chosen, others.nonzero().flatten()])
