"""Models on disk: dense or compressed, saved as a Hugging Face directory and loaded with checks.

How transformers itself reads a compressed one is `drank.models.quantizer`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from drank.models.description import CheckpointError, describe, quantised_by
from drank.models.documents import left_out
from drank.models.experts import unfuse
from drank.models.groups import Group
from drank.models.licence import LICENCE_FILES, POLICY_FILES
from drank.models.loaded import refuse_bad, unloadable
from drank.models.quantizer import DrankConfig, DrankQuantizer, register
from drank.models.tensors import AGAIN, stored_tensors
from drank.models.tokenizer_files import BELOW, REMEDY, other_ids, tokenizer_problems
from drank.runtime.files import read_json, replacing, share_mode
from drank.runtime.snapshots import snapshot

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["MODEL_FILES", "DrankConfig", "DrankQuantizer", "load_model", "load_tokenizer", "locate", "register", "save"]

MODEL_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", *LICENCE_FILES, *POLICY_FILES)
"""What is fetched of a model on the hub: weights in safetensors, never a pickle, and what its licence is and asks for."""


def save(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    groups: Sequence[Group] | None,
    directory: str | Path,
    max_shard_size: int | str = "5GB",
    documents: Mapping[str, str] | Callable[[Path], Mapping[str, str]] | None = None,
) -> None:
    """Write a model that `convert` made of `groups`, or a dense one (None), as a Hugging Face directory: whole or not at all.

    `documents` are texts by file name, or what makes them of the folder that has the weights. The model then counts as the one in that
    directory (`name_or_path`). Raises ValueError where the modules of the model are not those of the groups.
    """
    found = getattr(model.config, "quantization_config", None)
    if found != (None if groups is None else describe(groups)):
        made = "not converted" if found is None else "converted to other groups"
        given = "none" if groups is None else f"{len(groups)}"
        raise ValueError(f"cannot save to {directory}: the model was {made}, the groups given are {given}; give convert and save the same")
    with left_out(), replacing(directory) as temporary:
        model.save_pretrained(temporary, max_shard_size=max_shard_size)
        if tokenizer is not None:
            tokenizer.save_pretrained(temporary)
        for name, text in (documents(temporary) if callable(documents) else documents or {}).items():
            (temporary / name).write_text(text, "utf-8")
        share_mode(temporary.rglob("*.safetensors"), temporary / "config.json")
    model.name_or_path = str(Path(directory).resolve())


def load_model(
    source: str | Path,
    dtype: str | torch.dtype = "auto",
    device: str | torch.device = "cpu",
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> PreTrainedModel:
    """The model in a directory or on the hub, dense or compressed, in evaluation mode; `auto` is the dtype in which it is stored.

    Experts that transformers fuses come unfused (`drank.models.experts`); what another quantiser packed stays as it loads it.
    The dtype is set while the model is built, never by a cast afterwards, which would round the RoPE frequencies too. Raises
    CheckpointError for missing, truncated or corrupt files, for missing, unexpected or misshapen tensors, for values not finite, and
    where the package of a quantiser is not installed.
    """
    directory = locate(source, revision, trust_remote_code=trust_remote_code)
    model, info, quantiser = _read(directory, dtype, device, trust_remote_code)
    model = model if quantiser else unfuse(model).to(device)  # packed weights stay where they were put
    refuse_bad(directory, model, info, quantiser)
    return model


def _read(directory: Path, dtype: Any, device: Any, trusted: bool, *, everywhere: bool = False) -> tuple[Any, dict[str, Any], str | None]:
    """The model in a directory as transformers reads it, what that says of its tensors, and the quantiser that packed it.

    `everywhere` puts weights that are not packed on the device too while they are read. Raises CheckpointError where there is none to read.
    """
    from transformers import AutoModelForCausalLM

    stored_tensors(directory)
    quantiser = quantised_by(read_json(directory / "config.json"))
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            directory,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported below, together with everything else that is wrong
            trust_remote_code=trusted,
            **({"device_map": {"": device}} if quantiser or everywhere else {}),
        )
    except SafetensorError as error:
        raise CheckpointError(f"the weights in {directory} are corrupt ({error}); delete them and rerun `compress`") from error
    except (torch.OutOfMemoryError, MemoryError, CheckpointError):
        raise
    except Exception as error:  # of a description that no model can be built of transformers raises KeyError, AssertionError and others
        raise unloadable(directory, quantiser, error) from error
    return model, info, quantiser


def refuse_incomplete(directory: Path, headless: bool = False) -> None:
    """Raise CheckpointError with every tensor of a model's files that is missing, unexpected or misshapen; no weight is kept in memory.

    `headless` files, those of a base model, may lack what stands beside that.
    """
    model, info, quantiser = _read(directory, "auto", "meta", False, everywhere=True)
    if headless:
        info["missing_keys"] = [name for name in info["missing_keys"] if name.startswith(f"{model.base_model_prefix}.")]
    refuse_bad(directory, model, info, quantiser)


def load_tokenizer(source: str | Path, *, revision: str | None = None, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer of the model in a directory or on the hub; raises CheckpointError where there is none that transformers can read."""
    from transformers import AutoTokenizer

    directory = locate(source, revision, trust_remote_code=trust_remote_code)
    if wrong := [] if trust_remote_code else list(tokenizer_problems(directory)):
        raise CheckpointError("\n".join(wrong))
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(directory, trust_remote_code=trust_remote_code)
    except Exception as error:  # the parser of tokenizer.json raises no other kind
        _check_description(directory, trust_remote_code)  # which transformers reads first
        found = ", ".join(sorted(path.name for path in directory.glob("*tok*"))) or "none"
        raise CheckpointError(
            f"{directory} has no tokenizer that can be read (tokenizer files: {found}); {REMEDY}. "
            f"Transformers says: {' '.join(str(error).split())[:300]}"
        ) from error
    if differs := other_ids(directory, tokenizer):
        raise CheckpointError(differs)
    return tokenizer


def _check_description(directory: Path, trust_remote_code: bool) -> None:
    from transformers import AutoConfig

    try:
        AutoConfig.from_pretrained(directory, trust_remote_code=trust_remote_code)
    except Exception as error:  # its validators raise what they like
        raise unloadable(directory, None, error) from error


def locate(source: str | Path, revision: str | None = None, *, trust_remote_code: bool = False) -> Path:
    """The directory of a model: `source` itself, or the local snapshot of a hub id (fetched unless HF_HUB_OFFLINE is set).

    Raises CheckpointError where there is neither.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    directory = Path(source)
    if directory.is_dir():
        if not (directory / "config.json").is_file():
            raise CheckpointError(f"{directory} is no model directory: it has no config.json; rerun `compress`, or name another model")
        return directory
    patterns = [*MODEL_FILES, "*.py"] if trust_remote_code else list(MODEL_FILES)
    try:
        return snapshot(str(source), revision=revision, allow_patterns=patterns, ignore_patterns=[BELOW, AGAIN])
    except (HFValidationError, LocalEntryNotFoundError, HfHubHTTPError) as error:
        raise CheckpointError(
            f"{source} is neither a model directory nor, at revision {revision or 'main'}, a model that the hub or its local cache has "
            f"({type(error).__name__}); check the name, or run `prefetch` where there is a network"
        ) from error
