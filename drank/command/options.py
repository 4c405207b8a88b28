"""Options that commands share, and those that the options of a method become."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any, TypeVar

import click

from drank.calls.request import OPTIONS
from drank.corpora.beginnings import AUTO, CONVENTIONS
from drank.methods import METHODS, Method

C = TypeVar("C", bound=Callable[..., Any])

HELP = {
    "weighting": "What the SVD sees: identity, fisher-rows, absolute-mean, whitening, kronecker-fisher, fitted-fisher, likeliest-fisher "
    "or scalar-fisher.",
    "alpha": "The power of absolute-mean.",
    "damping": "What kronecker-fisher and likeliest-fisher add to the diagonals of the moments.",
    "labels": "Whose next tokens gradients are taken for: text or sampled.",
    "group": "Consecutive layers that share a basis.",
    "steps": "In how many steps a model nears its ratio, measured again at each.",
    "allocator": "How the budget is shared.",
    "density": "What effective-rank takes for the density of a spectrum.",
    "guard": "Follow the allocator only where it truncates less than uniform ranks.",
    "scope": "What shares one budget: each type of projection, or the model.",
    "floor": "The least rank, as a multiple of the uniform one.",
    "cap": "The largest rank, as a multiple of the uniform one.",
    "mix": "importance-loss: the weight of importance; none to choose it on the search's text.",
    "normalise": "optimal: energies as shares of their group's total.",
    "beta": "The share of Q and K moved to V.",
    "rebalance": "What beta moves: ranks or parameters, or either as whole-ranks or whole-parameters.",
    "dense_past_break_even": "Keep matrices dense whose factors would be no smaller.",
    "storage": "How low rank is stored: factors or pivoted, which is smaller.",
    "rank_multiple": "What all ranks are multiples of, as kernels like them.",
    "refit_from": "The ratio from which on factors are refitted; none for never.",
    "refit": "in-order, at-once, compensated or anchored.",
    "compensation": "How far a compensated or anchored refit makes up for misread inputs, 0 to 1.",
    "corrections": "Passes over the calibration text towards what the dense model predicts, after the refit.",
    "finetune_from": "The ratio from which on factors are trained by LoRA; none for never.",
    "seed": "The seed of random ranks.",
    "plan": "given: the file with the ranks, as `drank plan` writes it.",
}
"""What the help says of each option of a method; config/README.md says it in full."""


class _Maybe(click.ParamType[Any]):
    """A number, or `none`."""

    name = "number|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value).lower() in ("none", "null"):
            return None
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor none", param, ctx)


NONE_IS_ONE = tuple(field.name for field in fields(Method) if str(field.type) == "float | None")
"""The options of a method for which None is a value."""

UNSET = object()
"""What stands for an option that was not given, where None is a value."""

TYPES: dict[str, Any] = {"int": int, "float": float, "str": str, "float | None": _Maybe(), "str | None": str}
"""The type of an option by the annotation of the method's field."""


def applied(options: Iterable[Callable[[C], C]]) -> Callable[[C], C]:
    """One decorator out of several, in the order of the help."""

    def decorate(command: C) -> C:
        for option in reversed(list(options)):
            command = option(command)
        return command

    return decorate


def _method_option(name: str, annotation: str) -> Callable[[C], C]:
    flag = name.replace("_", "-")
    if annotation == "bool":
        return click.option(f"--{flag}/--no-{flag}", name, default=None, help=HELP[name])
    return click.option(f"--{flag}", name, type=TYPES[annotation], default=None, callback=_kept, help=HELP[name])


def _kept(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """The value, or `UNSET` where the option was not given, so that `none` can be."""
    given = ctx.get_parameter_source(str(param.name)) is click.core.ParameterSource.COMMANDLINE
    return value if given else UNSET


METHOD = [_method_option(field.name, str(field.type)) for field in fields(Method) if field.name in OPTIONS]

_COMPRESSING = ", ".join(name for name, method in METHODS.items() if method.compresses)

MODEL = [
    click.argument("model"),
    click.option("--method", default="l-rank", show_default=True, help=f"One of {_COMPRESSING}."),
    click.option("--ratio", type=float, default=0.4, show_default=True, help="The share of the projections' parameters to remove."),
    click.option(
        "--text",
        "-t",
        multiple=True,
        help="A file (several: again) or FILE,field=NAME, a corpus (python-docs), or hub:org/name,subset=…,split=….",
    ),
    click.option("--split", help="The split of a corpus that has several (default train)."),
]

TEXT = [
    click.option("--windows", type=int, help="Windows of text that are read (default 256)."),
    click.option("--length", type=int, help="Tokens in a window (default 2048, or the model's context)."),
    click.option("--batch", type=int, help="Windows run at once (default 8)."),
    click.option("--text-seed", type=int, help="The seed by which windows are drawn (default 13)."),
    click.option("--curvature-windows", type=int, help="Windows for gradients of sampled labels (default half of all)."),
    click.option("--bos", type=click.Choice([AUTO, *CONVENTIONS]), help="Which windows begin with BOS (default auto, by the family)."),
    click.option("--search", multiple=True, metavar="KEY=VALUE", help="The text of searches: windows=8, split=validation, …"),
    click.option("--finetune", multiple=True, metavar="KEY=VALUE", help="LoRA: epochs=2, rank=8, learning_rate=1.0e-4, …"),
]

COMPUTE = [
    click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1."),
    click.option("--dtype", default="float32", show_default=True, help="float32, bfloat16 or float16."),
    click.option("--threads", type=int, help="Threads of the processor (default all)."),
    click.option("--revision", help="Of a model on the hub."),
]

WORK = [click.option("--work", help="A folder that keeps what was calibrated and decomposed, for the next ratio or method.")]


def options_of(given: dict[str, Any]) -> dict[str, Any]:
    """The keywords of a call out of what was given on the command line."""
    for section in ("search", "finetune"):
        given[section] = {key: value for key, _, value in (pair.partition("=") for pair in given[section])}
    left = {key: value for key, value in given.items() if value is not UNSET and (value is not None or key in NONE_IS_ONE)}
    return {key: value for key, value in left.items() if value != {}}
