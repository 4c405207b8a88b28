"""drank: compress language models by SVD with dynamic ranks (D-Rank, arXiv:2509.25622) and with the methods it is compared to.

`drank.compress`, `drank.plan` and `drank.evaluate` do for one model what a run of the workflow does for many; `drank.export` hands a
compressed model on, `drank.optimize` makes a loaded one quick to run, and `drank.show` says what a directory is. Importing drank imports
neither torch nor transformers. It makes transformers know compressed checkpoints, so that `AutoModelForCausalLM.from_pretrained` rebuilds
them.
"""

from typing import TYPE_CHECKING, Any

from drank.models import registration

if TYPE_CHECKING:
    from drank.calls.compress import compress, plan
    from drank.calls.evaluate import evaluate
    from drank.calls.hand_on import export, show
    from drank.models.execution.optimize import optimize

__version__ = "0.1.0"

_CALLS = {
    "compress": "calls.compress",
    "evaluate": "calls.evaluate",
    "export": "calls.hand_on",
    "optimize": "models.execution.optimize",
    "plan": "calls.compress",
    "show": "calls.hand_on",
}
"""What is handed on, and the module that has it: imported when it is first asked for."""

__all__ = ["__version__", "compress", "evaluate", "export", "optimize", "plan", "show"]


def __getattr__(name: str) -> Any:
    if name not in _CALLS:
        raise AttributeError(f"module 'drank' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"drank.{_CALLS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_CALLS})


registration.install()
