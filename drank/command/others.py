"""`drank run`, `drank lm-eval` and `drank serve`: Snakemake with drank's workflow, the harness and vLLM with drank's checkpoints."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from drank.config import read_config
from drank.runtime.device import cores
from drank.runtime.home import writable_caches
from drank.runtime.installing import install
from drank.runtime.log import QUIET
from drank.runtime.shipped import WORKFLOW
from drank.runtime.suggestions import near

PASSED_ON: dict[str, Any] = {"ignore_unknown_options": True, "help_option_names": []}


@click.command(context_settings=PASSED_ON, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(arguments: tuple[str, ...]) -> None:
    """Run the workflow: `drank run [CONFIG] [OPTIONS OF SNAKEMAKE]`.

    CONFIG is a YAML file of yours, or the name of one that drank ships (methods, l-rank, smollm2, text-amounts, throughput, local-paper,
    paper); without one the default runs. It comes first; files behind --configfile are laid over it, in their order.
    Results appear in the folder of `--directory`, or in the current one. All cores are used that it may keep busy, as a container limits
    them too, unless --cores or --jobs says otherwise.
    """
    if "--help" in arguments or "-h" in arguments:
        click.echo(f"{click.get_current_context().command.help}\n\nOptions of Snakemake: snakemake --help")
        return
    _require("snakemake", "drank run")
    from snakemake.cli import main

    given = snakemake_arguments(arguments)
    if file := shipped_in(given):  # of an installed copy it is not the one in the clone that somebody may have edited
        click.echo(f"configuration: {file}", err=True)
    writable_caches(_folder(given))
    main(given)


def _folder(arguments: Sequence[str]) -> str:
    """The folder that a run works in, by the arguments of Snakemake."""
    found = "."
    for argument, following in zip(arguments, [*arguments[1:], "."], strict=True):
        if argument in ("--directory", "-d"):
            found = following
        elif argument.startswith("--directory="):
            found = argument.partition("=")[2]
    return found


def snakemake_arguments(arguments: Sequence[str]) -> list[str]:
    """The arguments for Snakemake out of those of `drank run`.

    Raises FileNotFoundError for a configuration that is not there, ConfigError for one that cannot be read, UsageError for one that comes
    where Snakemake looks for targets.
    """
    config: list[str] = []
    given = list(arguments)
    shipped = (WORKFLOW / "config" / f"{given[0]}.yaml").is_file() if given else False
    if given and not given[0].startswith("-") and (shipped or given[0].endswith((".yaml", ".yml"))):
        named = str(_config(given[0]))
        read_config(named)  # Snakemake names neither the file nor the line of what it cannot read
        given, over = _apart(given[1:])
        config = ["--configfile", named, *over]
    if misplaced := _misplaced(given):
        raise click.UsageError(
            f"{misplaced} is a configuration and stands where Snakemake looks for targets; the configuration comes first, and files that "
            f"change it behind --configfile: drank run {misplaced} [--configfile FILE ...] [OPTIONS OF SNAKEMAKE]"
        )
    chosen = {argument.partition("=")[0] for argument in given if argument.startswith("-")}
    spread = {"--cores", "-c", "--jobs", "-j", "--executor", "-e", "--workflow-profile", "--profile", "--unlock", "--version"}
    alone = [] if any(argument in spread or argument[:2] in ("-c", "-j") for argument in chosen) else ["--cores", str(cores())]
    return ["--snakefile", str(WORKFLOW / "Snakefile"), *alone, *given, *config]


def shipped_in(arguments: Sequence[str]) -> Path | None:
    """The configuration among arguments of Snakemake that drank ships, the default where they name none; None for files of one's own."""
    if not any(argument.startswith("--configf") for argument in arguments):
        return WORKFLOW / "config/config.yaml"
    return next((file for file in map(Path, arguments) if file.parent == WORKFLOW / "config"), None)


def _apart(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments without `--configfile`, and the files behind it, in order: where it is given twice Snakemake takes the last alone."""
    rest: list[str] = []
    files: list[str] = []
    taking = False
    for argument in arguments:
        option, given, value = argument.partition("=")
        if option.startswith("--configf"):  # Snakemake takes options by their beginnings, and this one in the plural too
            taking = not given
            files += [value] if given else []
        elif taking and not argument.startswith("-"):
            files.append(argument)
        else:
            taking = False
            rest.append(argument)
    return rest, files


def _misplaced(arguments: Sequence[str]) -> str | None:
    """A YAML file among what Snakemake would take for targets."""
    files = [word for word in arguments if word.endswith((".yaml", ".yml")) and not word.startswith("-") and Path(word).is_file()]
    if not files or importlib.util.find_spec("snakemake") is None:
        return None
    from snakemake.cli import get_argument_parser

    targets = get_argument_parser().parse_known_args(list(arguments))[0].targets
    return next((file for file in files if file in targets), None)


def _config(name: str) -> Path:
    shipped = {path.stem: path for path in sorted((WORKFLOW / "config").glob("*.yaml"))}
    if Path(name).is_file():
        return Path(name).resolve()
    if name in shipped:
        return shipped[name]
    raise FileNotFoundError(f"there is no file {name}{near(name, shipped)}; configurations that drank ships: {', '.join(shipped)}")


@click.command("lm-eval", context_settings=PASSED_ON, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def lm_eval(arguments: tuple[str, ...]) -> None:
    """lm-evaluation-harness's own command, which then knows drank's checkpoints.

    For example: drank lm-eval run --model hf --model_args pretrained=smaller --tasks arc_easy
    """
    _require("lm_eval", "drank lm-eval")
    from lm_eval.__main__ import cli_evaluate

    sys.argv = ["lm-eval", *arguments]
    cli_evaluate()


@click.command(context_settings=PASSED_ON, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def serve(arguments: tuple[str, ...]) -> None:
    """Serve a compressed model by vLLM: `drank serve DIRECTORY [OPTIONS OF VLLM'S SERVER]`.

    The server speaks the OpenAI protocol. For example: drank serve smaller --host 127.0.0.1 --port 8000 --dtype bfloat16
    """
    from drank.command import YIELDING
    from drank.models.serving.server import MODULE
    from drank.models.serving.server import serve as call

    if not arguments or {"--help", "-h"} & set(arguments):
        click.echo(f"{click.get_current_context().command.help}\n\nOptions of the server: python -m {MODULE} --help")
        return
    if arguments[0].startswith("-"):
        raise click.UsageError(f"the model comes first, then options of the server: drank serve DIRECTORY {arguments[0]} ...")
    own = (QUIET | YIELDING).items()  # what the command set for itself: a server may show its progress, and its threads may wait awake
    call(arguments[0], arguments[1:], {name: value for name, value in os.environ.items() if (name, value) not in own})


def _require(package: str, command: str) -> None:
    """Raise ImportError where a package of the pipeline is not installed."""
    if importlib.util.find_spec(package) is None:
        raise ImportError(f"{command} needs {package}, which is not installed: {install('pipeline')}")
