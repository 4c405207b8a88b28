"""The command `drank`: the calls of the library, the workflow and the harness, from a shell.

Its modules import what they run when they run it, so that help and mistakes cost no second.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Any, ClassVar

import click

from drank import __version__
from drank.runtime.log import QUIET, foreseen
from drank.runtime.suggestions import near

COMMANDS = {
    "compress": "compress",
    "plan": "compress",
    "evaluate": "evaluate",
    "export": "hand_on",
    "show": "hand_on",
    "run": "others",
    "lm-eval": "others",
    "serve": "others",
}
"""The commands in the order of their help, and the module that has each."""


YIELDING = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that wait let others run: on cores that somebody else uses too, those that spin take many times as long."""


class _Commands(click.Group):
    """The commands, each imported when it is asked for."""

    ORDER: ClassVar = tuple(COMMANDS)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.ORDER)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            ctx.fail(f"there is no command {cmd_name!r}{near(cmd_name, COMMANDS)}; commands: {', '.join(COMMANDS)}")
        found: click.Command = getattr(importlib.import_module(f"drank.command.{COMMANDS[cmd_name]}"), cmd_name.replace("-", "_"))
        return found


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="drank")
def drank() -> None:
    """Compress language models by SVD, measure what is left of them, hand them on.

    \b
    drank compress docs-mha --text my.txt --out smaller      one model, one method, one ratio
    drank evaluate smaller docs-mha --text test.txt          what is left of it
    drank run mine.yaml                                      many models, methods and ratios; tables and figures
    """  # noqa: D301 - click keeps lines after \b as they are


def main() -> Any:
    """Run the command; an error that drank foresaw is said in its own words, with exit status 1."""
    for variable, value in (QUIET | YIELDING).items():
        os.environ.setdefault(variable, value)
    try:
        return drank(standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("drank: interrupted", err=True)
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is said and ends the command
        if not foreseen(error, error.__traceback__):
            traceback.print_exc()
        click.echo(f"drank: {error}" if str(error) else f"drank: {type(error).__name__}", err=True)
        sys.exit(1)
