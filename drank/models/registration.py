"""How transformers comes to know compressed checkpoints, without importing torch or transformers before somebody else does.

At once where transformers' registry of quantizers is already loaded, else when transformers loads it, right before the first model is
read.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_REGISTRY = "transformers.quantizers.auto"
"""The module of transformers that maps the `quant_method` of a checkpoint to the class which rebuilds its modules."""


class _RegisteringLoader(Loader):
    """The loader of the registry, which adds drank's checkpoints to it as soon as its own code has run."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """The module that the registry's own loader creates."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the registry's code, then register drank in it."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _register()


class _RegisteringFinder(MetaPathFinder):
    """Finds the registry of transformers where the finders after this one find it, and nothing else."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The specification of the registry with a registering loader; None for every other module."""
        if fullname != _REGISTRY:
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            spec = finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _RegisteringLoader(spec.loader)
                return spec
        return None


def _register() -> None:
    # Registers when it is imported. It may be what imports the registry just now, and then it registers when its own import is done.
    importlib.import_module("drank.models.quantizer")


def install() -> None:
    """Register drank's checkpoints with transformers, now or as soon as it is there."""
    if _REGISTRY in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _RegisteringFinder())
