"""Statistics of a model on disk: one safetensors file per layer, written in turn by runs that can be interrupted."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.runtime.files import read_json, replacing, write_json
from drank.runtime.shares import Share

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


SEEN = "tokens"
"""The name under which the file of a layer says how many tokens its statistics have seen."""


def layer_file(directory: str | Path, layer: int) -> Path:
    """The file of a layer's statistics."""
    return Path(directory) / f"layer-{layer:03d}.safetensors"


def layers_in(directory: str | Path) -> int:
    """The number of layers whose file is there; files are whole or absent."""
    return len(list(Path(directory).glob("layer-*.safetensors")))


def write_layer(directory: str | Path, layer: int, statistics: dict[str, Tensor]) -> None:
    """Write the file of a layer, whole or not at all."""
    from safetensors.torch import save_file

    with replacing(layer_file(directory, layer)) as temporary:
        save_file({name: values.cpu().contiguous() for name, values in statistics.items()}, temporary)


def read_layer(directory: str | Path, layer: int, name: str) -> Tensor:
    """One statistic of a layer; nothing else of the file is read."""
    from safetensors import safe_open

    with safe_open(layer_file(directory, layer), framework="pt") as file:
        return file.get_tensor(name)


def write_facts(directory: str | Path, facts: dict[str, Any], tokens: int) -> None:
    """Write `facts.json` of statistics whose layer files are all there, with the tokens that were asked for and those that were read.

    Raises ValueError naming the layers that saw fewer or more than `tokens`.
    """
    seen = {layer: int(read_layer(directory, layer, SEEN).item()) for layer in range(layers_in(directory))}
    if wrong := {layer: count for layer, count in seen.items() if count != tokens}:
        told = ", ".join(f"layer {layer} {count}" for layer, count in wrong.items())
        raise ValueError(f"{directory}: statistics of {tokens} tokens were asked for, and read were in {told}; delete it and run again")
    write_json(Path(directory) / "facts.json", {**facts, "tokens": tokens, "tokens_read": min(seen.values())})


def read_facts(directory: str | Path) -> dict[str, Any]:
    """What statistics say of their text, but for the number of its tokens; raises ValueError where they are not of all of them."""
    facts: dict[str, Any] = read_json(Path(directory) / "facts.json")
    asked, read = facts.pop("tokens", None), facts.pop("tokens_read", None)
    if asked is None or asked != read:
        raise ValueError(f"{directory} was made of {read} tokens of {asked}; delete it and run again")
    return facts


def identity(
    model: PreTrainedModel, windows: Tensor, batch: int, facts: dict[str, Any], key: Any, share: Share | None = None
) -> dict[str, Any]:
    """What the partial work of an interrupted run must agree in with a later run that goes on with it."""
    ids = hashlib.sha256(windows.cpu().contiguous().numpy().tobytes()).hexdigest()
    made = {"facts": facts, "key": key, "model": model.name_or_path, "dtype": str(model.dtype), "windows": ids, "batch": batch}
    return made | ({"share": str(share)} if share else {})
