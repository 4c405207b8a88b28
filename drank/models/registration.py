"""How transformers comes to know compressed checkpoints, without importing torch or transformers before somebody else does.

At once where transformers has loaded what it adds to, else when transformers does so, right before the first model is read.
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

_MODELS = "transformers.modeling_utils"
"""The module of transformers with the `save_pretrained` and `push_to_hub` of all models."""


class _RegisteringLoader(Loader):
    """The loader of one of these modules, which adds what is drank's as soon as the module's own code has run."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """The module that its own loader creates."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code, then add what is drank's."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _ADDED[module.__name__]()


class _RegisteringFinder(MetaPathFinder):
    """Finds the modules of `_ADDED` where the finders after this one find them, and nothing else."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The specification of such a module with a registering loader; None for every other one."""
        if fullname not in _ADDED:
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


def _carry_documents() -> None:
    importlib.import_module("drank.models.publishing").install()


_ADDED = {_REGISTRY: _register, _MODELS: _carry_documents}
"""What is done once a module of transformers is there."""


def install() -> None:
    """Make transformers know drank's checkpoints and carry their documents, now or as soon as its own modules are there."""
    for name, add in _ADDED.items():
        if name in sys.modules:
            add()
    if not _ADDED.keys() <= sys.modules.keys():
        sys.meta_path.insert(0, _RegisteringFinder())
