"""What transformers calls to read a compressed checkpoint: to it, a "quantization" named drank.

The entry `quantization_config` of config.json describes the groups, and `from_pretrained` lets `DrankQuantizer` put the low-rank modules in
place before it reads the weights. Importing this module registers both classes (`drank.models.registration` does).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from transformers.configuration_utils import PreTrainedConfig
from transformers.quantizers.auto import (
    AUTO_QUANTIZATION_CONFIG_MAPPING,
    AUTO_QUANTIZER_MAPPING,
    register_quantization_config,
    register_quantizer,
)
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin
from transformers.utils.versions import require_version

from drank.models.carried import read_from
from drank.models.conversion import skeleton, whole
from drank.models.description import QUANT_METHODS, described
from drank.models.experts import renamings, unfuse
from drank.models.guard import MESSAGE, put_notice, sealed, unseal
from drank.models.lowrank import PivotedLinear

if TYPE_CHECKING:
    from transformers import PreTrainedModel


OLDEST_TRANSFORMERS = "5.8"
"""With 5.7 the experts of Mixtral come out wrong, with 5.0 GPT-2; `make compat` tests this version."""


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
    _model_type: str

    def validate_environment(self, *args: Any, **kwargs: Any) -> None:
        """Raise ImportError where transformers is so old that it would read some families wrongly, without a word."""
        require_version(f"transformers>={OLDEST_TRANSFORMERS}", "It reads a model that was compressed by drank.")

    def update_attn_implementation(self, config: Any) -> Any:
        """Take off the seal: of what transformers calls before it looks for the weights, this gets the configuration, since 5.20."""
        unseal(config)
        return config

    def update_tp_plan(self, config: Any) -> Any:
        """Take off the seal: what transformers calls up to 5.20."""
        unseal(config)
        return config

    def update_device_map(self, device_map: dict[str, Any] | None) -> dict[str, Any] | None:
        """A map of modules to devices with a place for the notice, which is in none of them: accelerate wants one for every tensor."""
        return {MESSAGE: "cpu", **device_map} if isinstance(device_map, dict) and "" not in device_map else device_map

    def _process_model_before_weight_loading(self, model: PreTrainedModel, **kwargs: Any) -> PreTrainedModel:
        _refuse_sharing_out(model.config)
        self._model_type = model.config.model_type
        read_from(model, kwargs.get("checkpoint_files"))
        skeleton(unfuse(whole(model)), described(self.quantization_config.description()))
        put_notice(model)  # where it is a base model, `skeleton` gave the notice to what holds it
        for part in (model, model.base_model):  # they name layers that are low-rank now, and experts that were fused
            part._tp_plan, part._ep_plan = {}, {}
        return model

    def _process_model_after_weight_loading(self, model: PreTrainedModel, **kwargs: Any) -> PreTrainedModel:
        # The modules are ordinary floating-point ones: unmarked, `float()`, full fine-tuning and compilation work as for dense models.
        self.remove_quantization_config(model)
        for module in model.modules():
            if isinstance(module, PivotedLinear) and module.owns_basis:
                module.arrange()
        model.config.quantization_config = self.quantization_config.description()
        return model

    def update_weight_conversions(self, weight_conversions: list[Any], model: PreTrainedModel | None = None) -> list[Any]:
        """The names of the files to those of the modules, without transformers' fusing of what is stored apart.

        transformers gives the model since 5.21 only, so that its type is remembered from when the modules were built.
        """
        return list(renamings(self._model_type))

    def is_serializable(self) -> bool:
        """True: `save_pretrained` writes everything that loading needs."""
        return True

    @property
    def is_trainable(self) -> bool:
        """True: basis and coefficients are ordinary parameters."""
        return True


def _refuse_sharing_out(config: Any) -> None:
    """Raise ValueError where transformers was told to share out layers or experts over processes.

    It would sum what each makes of a whole low-rank layer, or of every expert, as if that were its part. Older versions, in which the
    configuration does not tell, load the whole model in each process, for it has no plan of what to share out.
    """
    asked = getattr(config, "distributed_config", None)
    if told := [f"{name}={size}" for name in ("tp_size", "ep_size") if (size := getattr(asked, name, None) or 1) > 1]:
        raise ValueError(
            f"transformers does not share out the layers of a model compressed by drank ({', '.join(told)}); load it without tp_plan and "
            "distributed_config, over several GPUs with device_map='auto', or serve it in tensor parallel with vLLM (`drank serve`)"
        )


def register() -> None:
    """Make transformers read compressed checkpoints, and seal those that it writes; a second call changes nothing."""
    for name in QUANT_METHODS:
        if name not in AUTO_QUANTIZATION_CONFIG_MAPPING:
            register_quantization_config(name)(DrankConfig)
        if name not in AUTO_QUANTIZER_MAPPING:
            register_quantizer(name)(DrankQuantizer)
    if not hasattr(PreTrainedConfig.to_dict, _MARK):
        PreTrainedConfig.to_dict = _sealing(PreTrainedConfig.to_dict)


_MARK = "seals_checkpoints_of_drank"


def _sealing(to_dict: Any) -> Any:
    """`to_dict` of configurations with the seal in what it gives.

    Every config.json is what `to_dict` gives, by whatever way it is written; an attribute of the configuration would not do, for
    `save_pretrained` deletes it.
    """

    @functools.wraps(to_dict)
    def with_seal(self: PreTrainedConfig) -> dict[str, Any]:
        return sealed(to_dict(self))

    setattr(with_seal, _MARK, True)
    return with_seal


register()
