"""The plug-in that vLLM finds by the entry point `vllm.general_plugins` and calls in every process of its own."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


def register() -> None:
    """Make vLLM know compressed checkpoints; a second call changes nothing.

    A vLLM that is built otherwise than the one this was written for goes on without, and refuses such a model as unknown to it.
    """
    try:
        from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS, register_quantization_config

        from drank.models.description import QUANT_METHODS
        from drank.models.serving.quantization import Compressed
    except ImportError as error:
        log.warning("drank knows vLLM 0.32, and this one is another (%s): models compressed by drank cannot be served", error)
        return
    for name in QUANT_METHODS:
        if name not in QUANTIZATION_METHODS:
            register_quantization_config(name)(Compressed)
