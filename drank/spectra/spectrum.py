"""Spectra of a model: λ, effective rank and the bases of every group under one weighting, as a directory with a file per first layer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.calibration.layer_files import layer_file, read_layer, write_layer
from drank.models.groups import Shape
from drank.models.weights import Checkpoint
from drank.runtime.files import file_hash, read_json, resuming, write_text
from drank.runtime.finite import NonFiniteError
from drank.runtime.log import progress
from drank.spectra.decomposition import decompose
from drank.spectra.left_right import Sides

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def effective_rank(energies: Iterable[float]) -> float:
    """exp of the Shannon entropy of λ/Σλ, between 1 and the number of non-zero λ; 1 for a spectrum of zeros.

    D-Rank (arXiv:2509.25622), equations 1 and 2: natural logarithm, squared singular values.
    """
    values = [float(value) for value in energies if value > 0]
    total = math.fsum(values)
    shares = [value / total for value in values]
    return math.exp(-math.fsum(share * math.log(share) for share in shares if share > 0))  # a share may be too small for a float


def decompose_model(
    checkpoint: Checkpoint,
    directory: str | Path,
    *,
    moments: str | Path | None = None,
    gradients: str | Path | None = None,
    weighting: str = "whitening",
    options: Mapping[str, float] | None = None,
    group: int = 1,
    facts: Mapping[str, Any],
    device: str = "cpu",
    key: Any = None,
) -> None:
    """Write the spectra of all groups of a model as a directory: one file per first layer, and `summary.json`.

    `layer-XXX.safetensors` holds for each group whose first layer is XXX `{name}.energies`, λ in descending order, float64 (r,), and
    `{name}.coefficients`, the rows C, float32 (r, n·d2), with r = min(d1, n·d2); with a right factor also `{name}.duals`, D = C R Rᵀ,
    and for a weighting that is made of moments `{name}.scales`, the root mean squares of the inputs, float32 (d1,).
    The summary holds `facts`, and the shape, effective rank and total energy of each group.

    A run that was interrupted goes on at the first layer it had reached where the arguments, and `key` (whatever else decides the result:
    code, device), are the same. Raises NonFiniteError naming the layer where a statistic or a weight is not finite, and what `Sides`
    raises.
    """
    sides = Sides(checkpoint, weighting, options or {}, moments, gradients, device)
    shapes = checkpoint.shapes(group)
    same = {"facts": facts, "key": key, "model": str(checkpoint.directory), "group": group}
    with resuming(directory, {**same, "weighting": weighting, "options": sides.options}) as partial:
        for layer in progress(sorted({shape.layers[0] for shape in shapes}), "spectra, layer"):
            if not layer_file(partial, layer).exists():
                members = sorted((shape for shape in shapes if shape.layers[0] == layer), key=sides.key)
                write_layer(partial, layer, {name: t for shape in members for name, t in _spectrum(checkpoint, shape, sides).items()})
        _write_summary(partial, shapes, facts)


def _spectrum(checkpoint: Checkpoint, shape: Shape, sides: Sides) -> dict[str, Tensor]:
    """What the file of a layer holds of one group."""
    import torch

    matrix = checkpoint.group_matrix(shape).to(sides.device)
    if not matrix.isfinite().all():
        raise NonFiniteError(f"{shape.name}: the weights are not finite; fetch the model again")
    left, right = sides.of(shape)
    found = decompose(matrix, left, right)
    tensors = {"energies": found.energies, "coefficients": found.coefficients.to(torch.float32)}
    if sides.weighting.right_of is not None:
        tensors["duals"] = found.duals.to(torch.float32)
    if (scales := sides.scales(shape)) is not None:
        tensors["scales"] = scales.to(torch.float32)
    return {f"{shape.name}.{part}": tensor.cpu() for part, tensor in tensors.items()}


def _write_summary(directory: Path, shapes: list[Shape], facts: Mapping[str, Any]) -> None:
    rows = []
    for shape in shapes:
        energies = read_layer(directory, shape.layers[0], f"{shape.name}.energies").tolist()
        row = {"group": shape.name, "role": shape.role, "layers": shape.layers, "rows": shape.rows, "columns": shape.columns}
        density = {"max_rank": shape.max_rank, "effective_rank": effective_rank(energies), "energy": math.fsum(energies)}
        rows.append(json.dumps(row | density))
    head = "".join(f" {json.dumps(key)}: {json.dumps(value)},\n" for key, value in facts.items())
    lines = ",\n  ".join(rows)
    write_text(directory / "summary.json", f'{{\n{head} "groups": [\n  {lines}\n ]\n}}\n')


def read_summary(directory: str | Path) -> tuple[list[Shape], dict[str, float]]:
    """The shapes of all groups and their effective ranks by group name."""
    groups = read_json(Path(directory) / "summary.json")["groups"]
    shapes = [Shape(row["role"], tuple(row["layers"]), row["rows"], row["columns"]) for row in groups]
    return shapes, {row["group"]: row["effective_rank"] for row in groups}


def read_energies(directory: str | Path) -> dict[str, np.ndarray]:
    """λ of every group in descending order, float64 (r,), by name."""
    from safetensors import safe_open

    shapes, _ = read_summary(directory)
    found: dict[str, np.ndarray] = {}
    for layer in sorted({shape.layers[0] for shape in shapes}):
        with safe_open(layer_file(directory, layer), framework="numpy") as file:
            found |= {shape.name: file.get_tensor(f"{shape.name}.energies") for shape in shapes if shape.layers[0] == layer}
    return {shape.name: found[shape.name] for shape in shapes}


def read_bases(directory: str | Path, ranks: Mapping[str, int]) -> dict[str, tuple[Tensor, Tensor]]:
    """The first `rank` rows of C and D, float32 (rank, n·d2), of each group named; only these are read. B = W Dᵀ, and D may be C itself."""
    from safetensors import safe_open

    first = {shape.name: shape.layers[0] for shape in read_summary(directory)[0]}
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for name, rank in ranks.items():
        with safe_open(layer_file(directory, first[name]), framework="pt") as file:
            coefficients, duals, stored = file.get_slice(f"{name}.coefficients")[:rank], f"{name}.duals", file.keys()
            found[name] = (coefficients, file.get_slice(duals)[:rank] if duals in stored else coefficients)
    return found


def version_of(directory: str | Path) -> list[str | int]:
    """What tells spectra from others that lay or lie in the same place: the hash of their summary, and when it was written."""
    summary = Path(directory) / "summary.json"
    return [file_hash(summary), summary.stat().st_mtime_ns]


def read_scales(directory: str | Path) -> dict[str, Tensor]:
    """The root mean squares of the inputs of every group, float32 (d1,), by name; nothing for a weighting that is made of no moments."""
    from safetensors import safe_open

    found: dict[str, Tensor] = {}
    for layer in sorted({shape.layers[0] for shape in read_summary(directory)[0]}):
        with safe_open(layer_file(directory, layer), framework="pt") as file:
            names = [name for name in file.keys() if name.endswith(".scales")]  # noqa: SIM118 - it is no mapping
            found |= {name.removesuffix(".scales"): file.get_tensor(name) for name in names}
    return found
