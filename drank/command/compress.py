"""`drank compress` and `drank plan`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from drank.command.options import COMPUTE, METHOD, MODEL, TEXT, WORK, applied, options_of

if TYPE_CHECKING:
    from drank.allocation.plan import Plan
    from drank.models.groups import Group


@click.command()
@applied(MODEL)
@click.option("--out", "-o", required=True, help="The directory to write the compressed model to.")
@click.option("--overwrite", is_flag=True, help="Replace a compressed model that is there.")
@applied([*WORK, *TEXT, *COMPUTE, *METHOD])
def compress(model: str, text: tuple[str, ...], out: str, **options: Any) -> None:
    """Compress MODEL (a directory, a GGUF file, a hub id or a shipped model) and save it, ready to be loaded by transformers.

    Every option of a method can be set; what is not set is as the method's paper has it.
    """
    from drank.calls.compress import compress as call
    from drank.calls.places import place_of
    from drank.calls.request import source_of
    from drank.models.tensors import size_of

    call(model, text=list(text) or None, out=out, **options_of(options))
    size = size_of(place_of(out))
    removed = f"{size.ratio_stored:.1%} of the projections' and {size.ratio_model:.1%} of the model's removed"
    click.echo(f"{out}: {size.parameters:,} parameters, {removed}")
    click.echo(weights_told(size.bytes, weights_of(source_of(model, options["revision"])[1]), options["dtype"]))
    click.echo(f"what it is: drank show {out}; what is left of it: drank evaluate {out} --text FILE")
    click.echo(f'in Python: import drank, then AutoModelForCausalLM.from_pretrained("{out}")')


def weights_of(source: Mapping[str, Any]) -> int:
    """The bytes of the weights of a model that was read, by its entry under `models`: of a GGUF file those of the file."""
    from drank.models.gguf import file_of
    from drank.models.sources import directory_of
    from drank.models.tensors import size_of

    file = file_of(source)
    return file.stat().st_size if file else size_of(directory_of(source)).bytes


def weights_told(written: int, read: int, dtype: str) -> str:
    """A line of the bytes of weights that were written beside those that were read, and what halves them where they are more."""
    if written <= read:
        return f"{written:,} bytes of weights, of {read:,} that the source has"
    more = f"{written:,} bytes of weights, more than the {read:,} of the source"
    return f"{more}: they are stored in float32, and --dtype bfloat16 halves them" if dtype.endswith("float32") else more


@click.command()
@applied(MODEL)
@click.option("--out", "-o", help="A file to write the plan to, as JSON.")
@applied([*WORK, *TEXT, *COMPUTE, *METHOD])
def plan(model: str, text: tuple[str, ...], **options: Any) -> None:
    """Show the ranks that a method gives to MODEL, without compressing it."""
    from drank.calls.compress import plan as call

    click.echo("\n".join(table_of(call(model, text=list(text) or None, **options_of(options)))))


def table_of(plan: Plan) -> Iterable[str]:
    """A plan as lines: what it is, then a row for each kind of projection with the rank of every group, `d` for those stored dense."""
    kept = plan.parameters / plan.dense_parameters
    yield f"{plan.method} at ratio {plan.ratio:g}: {plan.parameters:,} of {plan.dense_parameters:,} parameters, {1 - kept:.1%} removed"
    kinds: dict[str, list[Group]] = {}
    for group in plan.groups:
        kinds.setdefault(group.shape.kind, []).append(group)
    size = max(len(str(group.rank)) for group in plan.groups) + 1
    for kind, groups in kinds.items():
        shape = groups[0].shape
        ranks = "".join(("d" if group.dense else str(group.rank)).rjust(size) for group in groups)
        yield f"{kind:>5} {f'{shape.rows}×{shape.columns}':>12}, at most {shape.max_rank}:{ranks}"
