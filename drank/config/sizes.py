"""How much work a model is: its parameters and the shapes of its projections, from the headers of its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from drank.models.description import quantised_by
from drank.models.sources import directory_of
from drank.models.tensors import size_of
from drank.models.theirs import rounds
from drank.models.weights import Checkpoint
from drank.runtime.files import read_json


@dataclass(frozen=True)
class Sizes:
    """Of a model parameters, (rows, columns, how many) of projections, (width, how many) of what these read, width, vocabulary, layers."""

    parameters: int
    projections: tuple[tuple[int, int, int], ...]
    inputs: tuple[tuple[int, int], ...] = ()
    width: int = 0
    vocabulary: int = 0
    layers: int = 0

    @classmethod
    def of(cls, source: Mapping[str, Any]) -> Sizes:
        """The sizes of a configured model, from the headers of its files."""
        directory = directory_of(source)
        checkpoint = Checkpoint(directory)
        shapes, reads = checkpoint.shapes(1), {projection.role: projection.reads for projection in checkpoint.family.projections}
        kinds = Counter((shape.rows, shape.columns) for shape in shapes)
        inputs = Counter(rows for rows, _, _ in {(shape.rows, shape.layers, reads[shape.role]) for shape in shapes})
        projections = tuple((*kind, count) for kind, count in kinds.items())
        vocabulary = checkpoint.config.get("vocab_size", 0)
        width = shapes[0].rows  # the first reads what enters a block
        return cls(size_of(directory).parameters, projections, tuple(inputs.items()), width, vocabulary, checkpoint.layers)

    def of_checkpoint(self, checkpoint: Mapping[str, Any]) -> Sizes:
        """The sizes with the parameters of somebody else's checkpoint; a quantised one stores other numbers and is taken to be as large."""
        if rounds(checkpoint):
            return self
        directory = directory_of(checkpoint)
        quantised = quantised_by(read_json(directory / "config.json"))
        return self if quantised else replace(self, parameters=size_of(directory).parameters)

    def forward(self, tokens: float) -> float:
        """Multiplications of one pass over so many tokens."""
        return self.parameters * tokens

    @property
    def inside(self) -> int:
        """The parameters of the projections."""
        return sum(rows * columns * count for rows, columns, count in self.projections)

    def moments(self, tokens: float) -> float:
        """Multiplications of the products of the inputs."""
        return sum(rows**2 * count for rows, _, count in self.projections) * tokens / 2

    def fits(self, windows: float) -> float:
        """Multiplications of fitting Kronecker factors to the gradients of so many windows, in some seven steps there and back."""
        return 7 * windows * sum(1.5 * rows * columns * (rows + columns) * count for rows, columns, count in self.projections)

    def spectra(self) -> float:
        """Multiplications of all decompositions, in the doubled price of float64."""
        return sum(
            (20 * min(rows, columns) ** 3 + 4 * rows * columns * min(rows, columns)) * count for rows, columns, count in self.projections
        )


def sizes_for(config: Mapping[str, Any], jobs: Iterable[tuple[int, str, Mapping[str, str]]]) -> dict[str, Sizes]:
    """The sizes of the models that these jobs, each a number, rule and wildcards, name: others need not be here.

    Raises SourceError for a hub model that is not here yet, CheckpointError for one whose files are not whole.
    """
    named = {names["model"] for _, _, names in jobs if "model" in names}
    return {model: Sizes.of(source) for model, source in config["models"].items() if model in named}
