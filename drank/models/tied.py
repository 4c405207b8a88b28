"""An output layer that is the embedding: one matrix of the model, whether its files hold it once or twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drank.models.families import FAMILIES
from drank.models.headers import StoredTensor

HEADS = ("lm_head.weight", "embed_out.weight")
"""What files call the output layer."""

EMBEDDINGS = ("embed_tokens", "embed_in", "wte")
"""What the families call the embedding of the tokens."""

_CHUNK = 1 << 22


def counted(tensors: Mapping[str, StoredTensor], config: Mapping[str, Any]) -> dict[str, StoredTensor]:
    """The tensors without a head that the model ties to an embedding stored beside it.

    As transformers does it: the head is tied where the configuration, or for want of a word the architecture, says so and both hold the
    same numbers; where they do not, the model has both.
    """
    head = next((name for name in HEADS if name in tensors), None)
    if head is None or not _ties(config, unknown=True):
        return dict(tensors)
    twins = [one for name, one in tensors.items() if name != head]
    return {name: one for name, one in tensors.items() if name != head or not any(_equal(tensors[head], twin) for twin in twins)}


def own_head(tensors: Mapping[str, StoredTensor], config: Mapping[str, Any]) -> str | None:
    """The head that a model has beside its embedding though its configuration ties the two; None where nothing is amiss.

    What a configuration leaves out counts in families with an entry alone.
    """
    head = next((name for name in HEADS if name in tensors), None)
    if head is None or not _ties(config, unknown=False):
        return None
    embeddings = [one for name, one in tensors.items() if name.removesuffix(".weight").rpartition(".")[2] in EMBEDDINGS]
    return head if embeddings and not any(_equal(tensors[head], one) for one in embeddings) else None


def _ties(config: Mapping[str, Any], unknown: bool) -> bool:
    """Whether a config.json ties the output layer; what it leaves out is as transformers has it for the architecture, if that is known."""
    said = config.get("tie_word_embeddings")
    family = FAMILIES.get(str(config.get("model_type")))
    return bool(said) if said is not None else unknown if family is None else family.ties


def _equal(one: StoredTensor, other: StoredTensor) -> bool:
    """Whether two tensors hold the same bytes; read only as far as they do."""
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    with one.file.open("rb") as mine, other.file.open("rb") as theirs:
        mine.seek(one.start)
        theirs.seek(other.start)
        for place in range(0, one.bytes, _CHUNK):
            size = min(_CHUNK, one.bytes - place)
            if mine.read(size) != theirs.read(size):
                return False
    return True
