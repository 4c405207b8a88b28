"""The plug-in that vLLM finds by the entry point `vllm.general_plugins`."""

from __future__ import annotations


def register() -> None:
    """Make vLLM know compressed checkpoints; a second call changes nothing."""
    from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS, register_quantization_config

    from drank.models.description import QUANT_METHODS
    from drank.models.serving.quantization import Compressed

    for name in QUANT_METHODS:
        if name not in QUANTIZATION_METHODS:
            register_quantization_config(name)(Compressed)
