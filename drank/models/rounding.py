"""The dense model rounded by compressed-tensors, the format and the library in which such checkpoints are shared and served.

The weights of the projections that drank compresses, and no others, become whole numbers of a few bits: to the nearest, with one scale for
each block of neighbours in a row, symmetric about zero. Numbers are packed and scales have 16 bits: 8 bits in blocks of 32 are 8.5.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from drank.models.families import projections_of
from drank.models.weights import Checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LIBRARY = "compressed-tensors"

SCALES = "bfloat16"
"""The numbers that scales are: those of the run may have 32 bits, and those of float16 end where scales of small weights begin."""


def refusal(dense: Checkpoint, block: int) -> str | None:
    """Why a dense model cannot be rounded in blocks of so many weights; None where it can."""
    family = dense.family
    if family.mixture or any(projection.transposed for projection in family.projections):
        held = "its experts as one tensor" if family.mixture else "its projections as Conv1D"
        return f"{LIBRARY} rounds modules of the kind nn.Linear, and transformers holds {held}"
    widths = {shape.role: shape.rows for shape in dense.shapes(1)}
    uneven = {role: width for role, width in widths.items() if width % block}
    if not uneven:
        return None
    told = ", ".join(f"{role} {width}" for role, width in uneven.items())
    fits = math.gcd(*widths.values())
    return f"blocks of {block} do not divide the inputs of its projections ({told}); blocks of {fits}, or of a divisor of it, do"


def require() -> None:
    """Raise ImportError, with what to install, where the library is not there."""
    if importlib.util.find_spec("compressed_tensors") is None:
        raise ImportError(
            f"rounding needs {LIBRARY}, which is not installed here: `pip install {LIBRARY}` into the environment that rounds and "
            "evaluates, or leave the rounded methods out of the configuration"
        )


def round_projections(model: PreTrainedModel, bits: int, block: int) -> Callable[[str], None]:
    """Round the projections of a model in place, which can be saved then and computes as it is loaded again.

    Comes back: what tells transformers how, in the config.json of a directory where the model was saved.
    """
    import torch
    from compressed_tensors.compressors import ModelCompressor, compress_module
    from compressed_tensors.quantization import QuantizationArgs, QuantizationConfig, QuantizationScheme, apply_quantization_config
    from compressed_tensors.quantization.utils import calculate_qparams

    projections: list[Any] = [module for *_, module in projections_of(model)]
    others = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and module not in projections]
    args = QuantizationArgs(num_bits=bits, symmetric=True, strategy="group", group_size=block)
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    apply_quantization_config(model, QuantizationConfig(config_groups={"rounded": scheme}, ignore=others), show_progress=False)
    for module in projections:
        weight = module.weight.detach().float()  # a quotient of bfloat16 has fewer digits than the number that it is rounded to
        blocks = weight.unflatten(-1, (-1, block))
        scale, _ = calculate_qparams(blocks.amin(-1), blocks.amax(-1), args)
        module.weight = torch.nn.Parameter(weight, requires_grad=False)
        module.weight_scale = torch.nn.Parameter(scale.to(getattr(torch, SCALES)), requires_grad=False)
        compress_module(module, "pack-quantized")
    compressor = ModelCompressor.from_pretrained_model(model, "pack-quantized")
    compressor.compress_model(model, skip_compressed=True)
    return compressor.update_config


def how(model: PreTrainedModel, bits: int, block: int) -> dict[str, Any]:
    """What a record says of a rounding: bits, block, numbers of the scales, which projections, and the library with its version."""
    roles = sorted({projection.role for _, projection, _ in projections_of(model)})
    return {"bits": bits, "block": block, "scales": SCALES, "projections": roles, "library": f"{LIBRARY} {version(LIBRARY)}"}
