"""What vLLM keeps of a compressed checkpoint: to it, a quantisation named drank."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from vllm.config import get_current_vllm_config
from vllm.model_executor.layers.linear import LinearBase, UnquantizedLinearMethod
from vllm.model_executor.layers.quantization.base_config import QuantizationConfig
from vllm.model_executor.models.utils import WeightsMapper

from drank.models.description import described
from drank.models.families import FAMILIES
from drank.models.groups import Group
from drank.models.guard import MESSAGE
from drank.models.serving.built import Built
from drank.models.serving.linear import LowRankMethod
from drank.models.serving.places import NAME, Place, moved, parts_of, places_of, refuse_damaged


class Compressed(QuantizationConfig):
    """What vLLM keeps of a compressed checkpoint: the place of each projection and, once they are built, the parts of each layer."""

    def __init__(self, groups: tuple[Group, ...]) -> None:
        super().__init__()
        self.groups = groups
        self.places: dict[str, Place] = {}
        self.built = Built()
        self.whole = False

    def get_name(self) -> str:
        """The name of the quantisation."""
        return NAME

    def get_supported_act_dtypes(self) -> list[torch.dtype]:
        """The precisions that factors are stored in and run in."""
        return [torch.float32, torch.bfloat16, torch.float16]

    @classmethod
    def get_min_capability(cls) -> int:
        """The oldest GPU: any, for the products are ordinary ones."""
        return 0

    @staticmethod
    def get_config_filenames() -> list[str]:
        """No files beside config.json."""
        return []

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Compressed:
        """Read the description in config.json; raises CheckpointError where it is malformed."""
        return cls(described(config))

    @staticmethod
    def get_checkpoint_weight_mapper() -> WeightsMapper:
        """Leave out the notice, which is no weight."""
        return WeightsMapper(orig_to_new_substr={MESSAGE: None})

    def maybe_update_config(self, model_name: str, hf_config: Any = None, revision: str | None = None) -> None:
        """Find the places of the projections, now that the family is known; raises UnservableError for a mixture of experts."""
        self.places = places_of(hf_config.model_type, self.groups)
        self.built.transposed = any(projection.transposed for projection in FAMILIES[hf_config.model_type].projections)

    def apply_vllm_mapper(self, hf_to_vllm_mapper: Any) -> None:
        """Take the places by the paths that modules have in vLLM."""
        self.places = moved(self.places, hf_to_vllm_mapper)

    def get_quant_method(self, layer: nn.Module, prefix: str) -> Any:
        """How a layer is run: None for what is no linear map, as vLLM does where nothing of it is low-rank."""
        if not isinstance(layer, LinearBase):
            return None
        if not self.whole:
            _check()
            self.whole = True
        places = parts_of(self.places, self.packed_modules_mapping, prefix)
        if all(place is None or place.group.dense for place in places):
            return UnquantizedLinearMethod()
        _, _, name = prefix.rpartition(".")
        return LowRankMethod(self.built, prefix, self.packed_modules_mapping.get(name, [name]), places)


def _check() -> None:
    """Hold the files of the model that is being built against what its config.json promises."""
    config = get_current_vllm_config()
    if config.load_config.load_format != "dummy":
        refuse_damaged(config.model_config.model, config.model_config.revision)
