"""The model that a call is given, as one that lies on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.calls.request import source_of
from drank.calls.texts import label
from drank.runtime.files import replacing

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def given(
    model: str | Path | PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, revision: str | None, folder: Path
) -> tuple[str, dict[str, Any]]:
    """A name for the model and the entry under `models` that it means; one that is loaded is saved into `folder`, and stays as it is.

    Raises SourceError for what is no model, ValueError for a loaded one without its tokenizer, and for what would not be read: the
    `tokenizer` of one that lies on disk, the `revision` of one that is not on the hub.
    """
    if isinstance(model, (str, Path)):
        name, source = source_of(model, revision)
        idle = {
            "tokenizer is that of a loaded model": tokenizer,
            "revision is that of a model on the hub": "hub" not in source and revision,
        }
        if wrong := [why for why, given in idle.items() if given]:
            raise ValueError(f"{'; '.join(wrong)}, and {model} is none; leave it out")
        return name, source
    if tokenizer is None:
        raise ValueError("a loaded model comes with its tokenizer: give it as tokenizer=…")
    if getattr(model, "peft_config", None):
        raise ValueError("this model carries adapters, which are no part of its matrices: give model.merge_and_unload()")
    place = folder / "given"
    with replacing(place) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    return label(Path(str(model.name_or_path)).name) or "model", {"path": str(place.resolve())}
