"""What allocators know of a model: the groups, their spectra, and what some rules measure beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from drank.allocation.given import Given
from drank.models.groups import Shape
from drank.runtime.shortened import some

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Evidence:
    """The groups of a model, and by group name the λ of each in descending order, (max_rank,), and what else an allocator may need.

    `slopes`: the first-order change of the loss when component i alone is dropped, (max_rank,). `similarities`: for each layer, the mean
    cosine between what enters and what leaves its block. `sensitivity`: the perplexity by kept ratio ("0.1" …) with that group truncated.
    `given`: the plan of a user.
    """

    shapes: Sequence[Shape]
    energies: dict[str, Floats] = field(default_factory=dict)
    slopes: dict[str, Floats] = field(default_factory=dict)
    similarities: Sequence[float] = ()
    sensitivity: dict[str, dict[str, float]] = field(default_factory=dict)
    given: Given | None = None

    def check(self, needs: frozenset[str]) -> None:
        """Raise ValueError naming everything that is missing, of the wrong length or not finite among what is needed and the energies."""
        problems = []
        for kind, table in (("energies", self.energies), ("slopes", self.slopes)):
            if kind == "energies" or kind in needs:
                found = {shape.name: table.get(shape.name) for shape in self.shapes}
                absent = [name for name, values in found.items() if values is None]
                odd = [
                    s.name
                    for s in self.shapes
                    if (v := found[s.name]) is not None and (v.shape != (s.max_rank,) or not np.isfinite(v).all())
                ]
                problems += [f"no {kind} of {some(absent)}"] if absent else []
                problems += [f"{kind} that are not one finite number for each rank of {some(odd)}"] if odd else []
        if "sensitivity" in needs and (absent := [shape.name for shape in self.shapes if not self.sensitivity.get(shape.name)]):
            problems.append(f"no sensitivity of {some(absent)}")
        layers = 1 + max(max(shape.layers) for shape in self.shapes)
        if "similarities" in needs and (len(self.similarities) < layers or not np.isfinite(self.similarities).all()):
            problems.append(f"{len(self.similarities)} similarities for {layers} layers, or one that is not finite")
        if "plan" in needs and self.given is None:
            problems.append("no plan is given")
        if problems:
            raise ValueError(f"evidence is missing: {'; '.join(problems)}; run the step that measures it, for the same model and groups")

    @cached_property
    def tails(self) -> dict[str, Floats]:
        """By group name, the energy lost at every rank 0 … max_rank, Σ_{i>k} λ_i: (max_rank + 1,), summed from the smallest λ up."""
        return {name: tail_of(values) for name, values in self.energies.items()}


def of_shapes(shapes: Sequence[Shape]) -> Evidence:
    """What is known of matrices of independent random numbers: that no direction of them holds more than another, λ = 1 for each."""
    return Evidence(shapes, {shape.name: np.ones(shape.max_rank) for shape in shapes})


def tail_of(energies: Floats) -> Floats:
    """Σ_{i>k} λ_i for k = 0 … len(energies), summed from the last λ up, so that small sums are not differences of large ones."""
    return np.append(np.cumsum(energies[::-1])[::-1], 0.0)
