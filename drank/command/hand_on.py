"""`drank export` and `drank show`."""

from __future__ import annotations

import click

RESULTS = {
    "dense": "a plain model, {}; transformers reads it without drank",
    "remote-code": "a model with code of its own, {}; transformers reads it without drank, with trust_remote_code=True",
    "onnx": "an ONNX model, {}, checked by ONNX Runtime, which runs it without drank; README.md there says how",
}
"""What is told of an export, by its form."""


@click.command()
@click.argument("directory")
@click.argument("out")
@click.option(
    "--to",
    metavar="[dense|remote-code|onnx]",  # no Choice: of what is no form the call says why
    default="dense",
    show_default=True,
    help="dense: the factors multiplied out. remote-code: the factors, and code beside them that runs them. onnx: a graph with the "
    "low-rank layers as they are, for ONNX Runtime.",
)
@click.option("--max-shard-size", default="5GB", show_default=True, help="The largest file of weights, but of ONNX.")
@click.option("--overwrite", is_flag=True, help="Replace a model that drank made and that is there.")
def export(directory: str, out: str, to: str, max_shard_size: str, overwrite: bool) -> None:
    """Write the compressed model in DIRECTORY to OUT in a form that programs without drank read."""
    from drank.calls.hand_on import export as call
    from drank.models.card.markdown import amount

    made = call(directory, out, to, max_shard_size=max_shard_size, overwrite=overwrite)
    size = sum(path.stat().st_size for path in made.iterdir() if path.suffix in (".safetensors", ".onnx", ".data"))
    click.echo(f"{out}: {RESULTS[to].format(amount(size))}")


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
