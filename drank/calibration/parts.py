"""Parts of statistics: the sums that shares of the windows have, and how they are put together, without a model.

A part is a folder as that of the whole, with the float64 sums over a share of the windows in place of means. All parts are added and only
then divided, layer by layer, so that no more than the statistics of one layer are in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.calibration.layer_files import layer_file, layers_in, read_facts, write_facts, write_layer
from drank.runtime.files import read_json, replacing
from drank.runtime.log import progress
from drank.runtime.shares import Share, check_complete

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

Tensors = dict[str, "Tensor"]


def part_facts(
    share: Share, model: PreTrainedModel, facts: Mapping[str, Any], key: Any, sums: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """What a part says of itself: its share, what it has to agree in with the others, and numbers that add up."""
    made = {"facts": facts, "key": key, "dtype": str(model.dtype), "device": model.device.type}
    return {"share": str(share), "made": made, "sums": dict(sums or {})}


def gather(
    parts: Sequence[str | Path],
    directory: str | Path,
    finish: Callable[[Tensors], Tensors],
    facts_of: Callable[[Mapping[str, Any], Mapping[str, float]], Mapping[str, Any]] = lambda facts, _: facts,
) -> None:
    """Write what all parts together make, as a directory that one pass over all windows would have written.

    `finish` turns the sums of a layer into its statistics, `facts_of` the facts and the summed numbers of the parts into `facts.json`.
    Raises ValueError where the parts are not all shares of one division, or not made of the same model, text, settings and code on the
    same kind of device.
    """
    told = [read_facts(part) for part in parts]
    tokens = sum(read_json(Path(part) / "facts.json")["tokens"] for part in parts)
    check_complete([Share.named(one["share"]) for one in told], directory)
    layers = {layers_in(part) for part in parts}
    if any(one["made"] != told[0]["made"] for one in told) or len(layers) != 1:
        raise ValueError(
            f"the parts of {directory} were not made of the same model, text, settings and code on the same kind of device: "
            f"{' / '.join(sorted({one['made']['device'] for one in told}))}; delete them and run again"
        )
    sums = {name: sum(one["sums"][name] for one in told) for name in told[0]["sums"]}
    with replacing(directory) as whole:
        whole.mkdir()
        for layer in progress(range(layers.pop()), "adding parts, layer"):
            write_layer(whole, layer, finish(_added([layer_file(part, layer) for part in parts])))
        write_facts(whole, dict(facts_of(told[0]["made"]["facts"], sums)), tokens)


def _added(files: Sequence[Path]) -> Tensors:
    """The sum of what files of one layer hold, by name."""
    from safetensors import safe_open
    from safetensors.torch import load_file

    total = load_file(files[0])
    for file in files[1:]:
        with safe_open(file, framework="pt") as part:
            for name, values in total.items():
                values += part.get_tensor(name)
    return total
