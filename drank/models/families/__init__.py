"""What can be compressed in a model, as data: where the decoder blocks are, which projections they hold and which inputs these share.

A model family is one entry of `FAMILIES`. Nothing else in drank asks what family a model is of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from drank.models.families.entries import BEGUN, FAMILIES, Family, Projection
from drank.runtime.suggestions import near

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

__all__ = [
    "FAMILIES",
    "Family",
    "Projection",
    "UnknownFamilyError",
    "blocks_of",
    "context_of",
    "family_of",
    "kind_of",
    "layers_of",
    "module_path",
    "needs_bos",
    "projections_of",
]

_DEPTH = ("num_hidden_layers", "n_layer")
_CONTEXT = (
    *("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_seq_length", "max_sequence_length", "seq_length", "seq_len"),
    "max_target_positions",
)
_EXPERT_COUNT = ("num_local_experts", "num_experts")
_DIFFERS = (
    "its code differs from the family's entry in drank.models.families.FAMILIES; load the model by drank.models.checkpoint.load_model, "
    "which gives each expert its own projections (drank.models.experts.unfuse), or correct the entry"
)


class UnknownFamilyError(ValueError):
    """A model whose architecture is not in `FAMILIES`, or differs from its entry."""


def family_of(config: Any) -> Family:
    """The family of a model, from its configuration (the dict of config.json or an object), with one projection for each expert.

    Raises UnknownFamilyError, with near names and how to add a family, for an architecture or a variant that drank does not know.
    """
    model_type = str(_value(config, ("model_type",)))
    if model_type not in FAMILIES:
        raise UnknownFamilyError(
            f"model_type {model_type!r} is not a family drank knows{near(model_type, FAMILIES)}; "
            f"looked for it among: {', '.join(sorted(FAMILIES))}. "
            "To add it, give FAMILIES in drank.models.families an entry that names its decoder blocks and, for each projection in them, a "
            "role, a path and the input it reads; then give tests/contract/conftest.py a tiny configuration of it"
        )
    family = FAMILIES[model_type]
    found = {key: _value(config, (key,)) for key in family.requires}
    if wrong := [f"{key}: {found[key]} (must be {value})" for key, value in family.requires.items() if found[key] not in (None, value)]:
        raise UnknownFamilyError(
            f"this {model_type} model is not what drank.models.families.FAMILIES says of its family: its configuration has "
            f"{', '.join(wrong)}; compress another model, or give FAMILIES an entry for such models"
        )
    experts = range(_count(config, _EXPERT_COUNT) if family.mixture else 0)
    return replace(family, projections=tuple(one for projection in family.projections for one in _expanded(projection, experts)))


def kind_of(role: str) -> str:
    """The role without the number of the expert, `gate` of `gate.3`: budgets and groupings are per kind."""
    return role.partition(".")[0]


def layers_of(config: Any) -> int:
    """The number of decoder blocks of a model, from its configuration, whatever the architecture calls it."""
    return _count(config, _DEPTH)


def context_of(config: Any) -> int | None:
    """The most tokens that a model reads at once, from its configuration or its architecture; None where neither sets a limit."""
    value = _value(_value(config, ("text_config",)) or config, _CONTEXT)
    family = FAMILIES.get(str(_value(config, ("model_type",))))
    return _whole(value) if value is not None else family.positions if family else None


def needs_bos(config: Any) -> bool:
    """Whether a model needs BOS before every window, from its configuration; of families without an entry those in `BEGUN` do."""
    names = {str(_value(part, ("model_type",))) for part in (config, _value(config, ("text_config",))) if part is not None}
    return any(name in BEGUN or (name in FAMILIES and FAMILIES[name].needs_bos) for name in names)


def _value(config: Any, keys: tuple[str, ...]) -> Any:
    """The first of these keys that a configuration has, None where it has none."""
    read = config.get if isinstance(config, Mapping) else lambda key: getattr(config, key, None)
    return next((value for key in keys if (value := read(key)) is not None), None)


def _count(config: Any, keys: tuple[str, ...]) -> int:
    value = _value(config, keys)
    if value is None:
        raise UnknownFamilyError(f"the configuration has no {' or '.join(keys)}; complete its config.json, or fetch the model again")
    return _whole(value)


def _whole(value: Any) -> int:
    """A count that a configuration says; transformers takes none that is written as text or with a fraction."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{value!r} is no whole number from 1 on")
    return value


def _expanded(projection: Projection, experts: range) -> Iterator[Projection]:
    """The projection of each expert, or the projection itself where it belongs to none."""
    if "{expert}" not in projection.role:
        yield projection
        return
    for expert in experts:
        named = {key: getattr(projection, key).format(expert=expert) for key in ("role", "path", "reads", "makes")}
        yield Projection(**named, transposed=projection.transposed)


def module_path(model_type: str, layer: int, role: str) -> str:
    """The dotted name of one projection inside its model, such as `model.layers.3.self_attn.q_proj`.

    Raises UnknownFamilyError for a role that the blocks of this family do not have.
    """
    family, expert = FAMILIES[model_type], role.partition(".")[2]
    for projection in family.projections:
        if projection.role.format(expert=expert) == role:
            return f"{family.blocks}.{layer}.{projection.path.format(expert=expert)}"
    raise UnknownFamilyError(f"a {model_type} model has no role {role!r}, only {', '.join(family.roles)}")


def blocks_of(model: PreTrainedModel) -> list[nn.Module]:
    """The decoder blocks of a model in order; raises UnknownFamilyError where they are not at the family's place."""
    path = family_of(model.config).blocks
    try:
        return list(model.get_submodule(path).children())
    except AttributeError as error:
        raise UnknownFamilyError(f"no decoder blocks at {path!r} in a {type(model).__name__} ({error}); {_DIFFERS}") from None


def projections_of(model: PreTrainedModel) -> Iterator[tuple[int, Projection, nn.Module]]:
    """Layer number, description and module of every compressible projection, layer by layer.

    Raises UnknownFamilyError where a block lacks a projection that its family promises.
    """
    family = family_of(model.config)
    for layer, block in enumerate(blocks_of(model)):
        for projection in family.projections:
            try:
                module = block.get_submodule(projection.path)
            except AttributeError as error:
                raise UnknownFamilyError(
                    f"layer {layer} of this {model.config.model_type} model has no {projection.path!r} ({error}); {_DIFFERS}"
                ) from None
            yield layer, projection, module
