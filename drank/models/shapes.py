"""Shapes as models: a transformers configuration without weights, made a model directory once, with weights drawn at random."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.models.families import family_of
from drank.models.made_once import Work, failure, place_of
from drank.models.random_weights import SEED, empty_model, write_random
from drank.runtime.device import go_offline
from drank.runtime.files import read_json, replacing
from drank.runtime.suggestions import near

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

KEY = "shape"
"""The key of a source that is a shape."""

FORM = 1
"""Counts up when `draw` makes another directory of the same shape."""

DTYPES = ("bfloat16", "float16", "float32")
"""What weights may be stored in, the first where a shape does not say."""

NEEDED = (("hidden_size", "n_embd"), ("num_hidden_layers", "n_layer"), ("vocab_size",))
"""What a shape must say, each by one of its names; all else is as transformers has it for the family."""

ALSO = (
    *("dtype", "torch_dtype", "head_dim", "sliding_window_pattern"),
    *("rope_theta", "rope_scaling", "partial_rotary_factor", "rotary_pct", "rotary_emb_base"),
)
"""Keys that transformers reads and does not list."""

WORK = Work(
    maker=f"{__name__}:draw",
    doing="drawing the weights of",
    memory="the memory of its largest matrix twice",
    failed="transformers builds no model of it",
    disk="all weights, two bytes a parameter in bfloat16",
)
"""How a shape is made a directory of."""


class ShapeError(ValueError):
    """A shape that is not there, or of which no model can be made."""


def is_shape(source: Mapping[str, Any]) -> bool:
    """Whether a configured model is a shape, which has random weights and neither text nor tokenizer."""
    return KEY in source


def told_by(source: Mapping[str, Any]) -> dict[str, Any]:
    """The shape of a source, out of the config.json where it names one; raises ShapeError where that cannot be read, or is none."""
    given = source[KEY]
    if not isinstance(given, str):
        return dict(given)
    try:
        found = read_json(given)
    except (OSError, ValueError) as error:
        raise ShapeError(f"{given} cannot be read ({error}); a shape is a mapping, or the path of a config.json") from error
    if not isinstance(found, dict):
        raise ShapeError(f"{given} holds no keys and values, as the description of a model has; name its config.json")
    return found


def drawn(source: Mapping[str, Any]) -> Path:
    """The model directory made of a shape, which the first call makes: config.json and weights, no tokenizer.

    It lies below `$XDG_CACHE_HOME/drank`, or `~/.cache/drank`, under the hash of shape, seed and the versions of what draws. Raises
    ShapeError where the shape is none.
    """
    shape = told_by(source)
    if problems := list(_problems(shape)):
        raise ShapeError("; ".join(problems))
    made_by = [FORM, SEED, version("transformers"), version("numpy")]
    key = hashlib.sha256(json.dumps([shape, *made_by], sort_keys=True).encode()).hexdigest()[:16]
    directory = place_of("shapes", f"{shape['model_type']}-{key}")
    text = json.dumps({"shape": shape, "strict": not isinstance(source[KEY], str)}, sort_keys=True)
    if not directory.is_dir() and (amiss := failure(WORK, f"the shape {shape['model_type']}", text, directory)):
        raise ShapeError(amiss)
    return directory


def _problems(shape: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a shape, as far as it tells by itself."""
    if "model_type" not in shape:
        yield "a shape needs a model_type, such as llama"
        return
    if absent := [" or ".join(names) for names in NEEDED if not any(shape.get(name) for name in names)]:
        yield f"the shape does not say {', '.join(absent)}; a {shape['model_type']} of another size would be made in silence"
    elif wrong := _no_family(shape):
        yield wrong
    if (dtype := _dtype(shape)) not in DTYPES:
        yield f"the shape says dtype {dtype}, and weights are drawn in {', '.join(DTYPES)}"
    if shape.get("quantization_config"):
        yield "the shape has a quantization_config, and weights are drawn dense; leave it out"


def _no_family(shape: Mapping[str, Any]) -> str | None:
    try:
        family_of(shape)
    except (ValueError, TypeError) as error:
        return str(error)
    return None


def _dtype(shape: Mapping[str, Any]) -> str:
    return str(shape.get("dtype") or shape.get("torch_dtype") or DTYPES[0])


def draw(text: str, directory: Path) -> None:
    """Write the model of a shape, as `drawn` tells it, whole or not at all; raises ShapeError for keys that transformers does not know.

    Raises whatever transformers does for values that it does not take.
    """
    import torch

    go_offline()
    told = json.loads(text)
    config = _configuration(told["shape"], told["strict"])
    with replacing(directory) as temporary:
        temporary.mkdir()
        write_random(empty_model(config, getattr(torch, _dtype(told["shape"]))), temporary)


def _configuration(shape: Mapping[str, Any], strict: bool) -> PreTrainedConfig:
    """The configuration that a shape is; `strict` about keys, for one that a person wrote, and not a program."""
    from transformers import AutoConfig

    config: PreTrainedConfig = AutoConfig.for_model(**shape)
    usual = type(config)()
    known = [*usual.to_dict(), *usual.attribute_map, *ALSO]
    if unknown := [f"{key}{near(key, known)}" for key in shape if key not in known] if strict else []:
        raise ShapeError(
            f"the shape has {', '.join(unknown)}, which a {shape['model_type']} does not know; leave it out, or name a config.json"
        )
    return config
