"""Models on disk: dense or compressed, saved as a Hugging Face directory and loaded with checks.

To transformers a compressed checkpoint is a "quantization" named drank: the entry `quantization_config` of config.json describes the
groups, and `AutoModelForCausalLM.from_pretrained` lets `DrankQuantizer` put the low-rank modules in place before it reads the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from transformers.quantizers.auto import (
    AUTO_QUANTIZATION_CONFIG_MAPPING,
    AUTO_QUANTIZER_MAPPING,
    register_quantization_config,
    register_quantizer,
)
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from drank.models.description import QUANT_METHOD, CheckpointError, describe, described, quantised_by
from drank.models.experts import renamings, unfuse
from drank.models.groups import Group
from drank.models.loaded import refuse_bad, unloadable
from drank.models.lowrank import skeleton
from drank.models.tensors import stored_tensors
from drank.runtime.files import read_json, replacing

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MODEL_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
"""What is fetched of a model on the hub: weights in safetensors, never a pickle."""


class DrankConfig(QuantizationConfigMixin):
    """The `quantization_config` of a compressed checkpoint, as transformers passes it around."""

    def __init__(self, **description: Any) -> None:
        """Check the description of the groups that `describe` wrote; raises CheckpointError where it is malformed."""
        self.__dict__.update(description)
        self.description()

    def description(self) -> dict[str, Any]:
        """The plain dictionary of config.json, once it is known to be readable."""
        values: dict[str, Any] = self.to_dict()
        described(values)
        return values


class DrankQuantizer(HfQuantizer):
    """Rebuilds the low-rank modules of a checkpoint inside `from_pretrained`."""

    quantization_config: DrankConfig

    def _process_model_before_weight_loading(self, model: PreTrainedModel, **kwargs: Any) -> PreTrainedModel:
        skeleton(unfuse(model), described(self.quantization_config.description()))
        return model

    def _process_model_after_weight_loading(self, model: PreTrainedModel, **kwargs: Any) -> PreTrainedModel:
        # The modules are ordinary floating-point ones: unmarked, `float()`, full fine-tuning and compilation work as for dense models.
        self.remove_quantization_config(model)
        model.config.quantization_config = self.quantization_config.description()
        return model

    def update_weight_conversions(self, weight_conversions: list[Any], model: PreTrainedModel) -> list[Any]:
        """The names of the files to those of the modules, without transformers' fusing of what is stored apart."""
        return list(renamings(model.config.model_type))

    def is_serializable(self) -> bool:
        """True: `save_pretrained` writes everything that loading needs."""
        return True

    @property
    def is_trainable(self) -> bool:
        """True: basis and coefficients are ordinary parameters."""
        return True


def register() -> None:
    """Make transformers know compressed checkpoints; a second call changes nothing."""
    if QUANT_METHOD not in AUTO_QUANTIZATION_CONFIG_MAPPING:
        register_quantization_config(QUANT_METHOD)(DrankConfig)
    if QUANT_METHOD not in AUTO_QUANTIZER_MAPPING:
        register_quantizer(QUANT_METHOD)(DrankQuantizer)


register()


def save(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    groups: Sequence[Group] | None,
    directory: str | Path,
    max_shard_size: int | str = "5GB",
    documents: Mapping[str, str] | None = None,
) -> None:
    """Write a model that `convert` made of `groups`, or a dense one (None), as a Hugging Face directory: whole or not at all.

    `documents` are texts by file name, stored beside the weights. Raises ValueError where the modules of the model are not those of the
    groups.
    """
    found = getattr(model.config, "quantization_config", None)
    if found != (None if groups is None else describe(groups)):
        made = "not converted" if found is None else "converted to other groups"
        given = "none" if groups is None else f"{len(groups)}"
        raise ValueError(f"cannot save to {directory}: the model was {made}, the groups given are {given}; give convert and save the same")
    with replacing(directory) as temporary:
        model.save_pretrained(temporary, max_shard_size=max_shard_size)
        if tokenizer is not None:
            tokenizer.save_pretrained(temporary)
        for name, text in (documents or {}).items():
            (temporary / name).write_text(text, "utf-8")
        # safetensors are written with mode 0600 whatever the umask; config.json has the mode that this user gives to files
        mode = (temporary / "config.json").stat().st_mode
        for file in temporary.rglob("*.safetensors"):
            file.chmod(mode)


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
    from transformers import AutoModelForCausalLM

    directory = locate(source, revision, trust_remote_code=trust_remote_code)
    stored_tensors(directory)
    quantiser = quantised_by(read_json(directory / "config.json"))
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            directory,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported below, together with everything else that is wrong
            trust_remote_code=trust_remote_code,
            **({"device_map": {"": device}} if quantiser else {}),
        )
    except SafetensorError as error:
        raise CheckpointError(f"the weights in {directory} are corrupt ({error}); delete them and rerun `compress`") from error
    except ImportError as error:
        raise unloadable(directory, quantiser, error) from error
    model: PreTrainedModel = loaded[0] if quantiser else unfuse(loaded[0]).to(device)  # packed weights stay where they were put
    refuse_bad(directory, model, loaded[1], quantiser)
    return model


def load_tokenizer(source: str | Path, *, revision: str | None = None, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer of the model in a directory or on the hub."""
    from transformers import AutoTokenizer

    directory = locate(source, revision, trust_remote_code=trust_remote_code)
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(directory, trust_remote_code=trust_remote_code)
    return tokenizer


def locate(source: str | Path, revision: str | None = None, *, trust_remote_code: bool = False) -> Path:
    """The directory of a model: `source` itself, or the local snapshot of a hub id (fetched unless HF_HUB_OFFLINE is set).

    Raises CheckpointError where there is neither.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    directory = Path(source)
    if directory.is_dir():
        if not (directory / "config.json").is_file():
            raise CheckpointError(f"{directory} is no model directory: it has no config.json; rerun `compress`, or name another model")
        return directory
    patterns = [*MODEL_FILES, "*.py"] if trust_remote_code else list(MODEL_FILES)
    try:
        return Path(snapshot_download(str(source), revision=revision, allow_patterns=patterns, ignore_patterns=["*/*"]))
    except (HFValidationError, LocalEntryNotFoundError, HfHubHTTPError) as error:
        raise CheckpointError(
            f"{source} is neither a model directory nor, at revision {revision or 'main'}, a model that the hub or its local cache has "
            f"({type(error).__name__}); check the name, or run `prefetch` where there is a network"
        ) from error
