"""`drank export` and `drank show`."""

from __future__ import annotations

import click

_READ = {"dense": "a plain model", "remote-code": "a model with code of its own"}
"""What each form is called once it is written."""


@click.command()
@click.argument("directory")
@click.argument("out")
@click.option(
    "--to",
    type=click.Choice(list(_READ)),
    default="dense",
    show_default=True,
    help="dense: the factors multiplied out. remote-code: the factors, and code beside them that runs them.",
)
@click.option("--max-shard-size", default="5GB", show_default=True, help="The largest file of weights.")
@click.option("--overwrite", is_flag=True, help="Replace a model that drank made and that is there.")
def export(directory: str, out: str, to: str, max_shard_size: str, overwrite: bool) -> None:
    """Write the compressed model in DIRECTORY to OUT in a form that programs without drank read."""
    from drank.calls.hand_on import export as call
    from drank.models.card.markdown import amount
    from drank.models.tensors import size_of

    call(directory, out, to, max_shard_size=max_shard_size, overwrite=overwrite)
    trusted = ", with trust_remote_code=True" if to == "remote-code" else ""
    click.echo(f"{out}: {_READ[to]}, {amount(size_of(out).bytes)}; transformers reads it without drank{trusted}")


@click.command()
@click.argument("directory")
@click.option("--verify/--no-verify", default=True, show_default=True, help="Hold the files against the hashes that the card states.")
def show(directory: str, verify: bool) -> None:
    """Say what DIRECTORY is, and whether its files are what its card states."""
    from drank.calls.hand_on import show as call

    found = call(directory, verify)
    if found.kind == "nothing":
        raise click.ClickException(str(found))
    click.echo(str(found))
