"""What vLLM keeps of a compressed checkpoint: to it, a quantisation named drank."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from vllm.config import get_current_vllm_config
from vllm.distributed.utils import get_pp_indices
from vllm.model_executor.layers.linear import LinearBase, UnquantizedLinearMethod
from vllm.model_executor.layers.quantization.base_config import QuantizationConfig
from vllm.model_executor.models.utils import WeightsMapper

from drank.models.description import described
from drank.models.families import FAMILIES
from drank.models.groups import Group
from drank.models.guard import MESSAGE
from drank.models.serving.built import Built
from drank.models.serving.linear import LowRankMethod
from drank.models.serving.places import NAME, Place, UnservableError, looked_at, moved, parts_of, places_of, refuse_misread, torn_apart


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
            self._check()
            self.whole = True
        places = parts_of(self.places, self.packed_modules_mapping, prefix)
        if all(place is None or place.group.dense for place in places):
            return UnquantizedLinearMethod()
        _, _, name = prefix.rpartition(".")
        return LowRankMethod(self.built, prefix, self.packed_modules_mapping.get(name, [name]), places)

    def _check(self) -> None:
        """Hold the model that is being built against what vLLM is asked to do with it, and its files against what its config.json promises.

        Raises UnservableError and CheckpointError.
        """
        config = get_current_vllm_config()
        model, load, stages = config.model_config, config.load_config, config.parallel_config.pipeline_parallel_size
        if load.load_format == "dummy":
            raise UnservableError("a compressed model has no dummy weights: their pivots would be none; serve it with its own")
        depth = model.get_total_num_hidden_layers()
        ends = [get_pp_indices(depth, stage, stages)[1] for stage in range(stages)]
        if torn := [group.shape.name for group in self.groups if not group.dense and _stages(group, ends) > 1]:
            raise torn_apart(torn)
        if looked_at(model.model, load.load_format):
            refuse_misread(model.model, model.revision, load.download_dir, model.hf_token)


def _stages(group: Group, ends: list[int]) -> int:
    """How many stages of a pipeline have layers of a group; each ends before the layer of that number."""
    return len({sum(end <= layer for end in ends) for layer in group.shape.layers})
