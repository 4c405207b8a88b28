"""Whom a SLURM is to be asked what became of a job: its queue, which forgets, or its accounts, which not every cluster keeps.

The executor for SLURM takes `sacct` wherever that command is installed. Where no accounts are kept that never answers, and where they are,
a job that was cancelled is one "CANCELLED by" somebody, which the executor does not know: a run would wait for ever.
"""

from __future__ import annotations

import re
import subprocess
from typing import Any

REMEMBERED = 200
"""Seconds for which the queue must know jobs that have ended, for the executor asks every 180 seconds when nothing happens."""


def ask_who_knows(settings: Any, warn: Any) -> None:
    """Set whom the executor with these settings asks: `squeue` where the queue remembers or there are no accounts, `sacct` where neither.

    Does nothing for other executors, and where SLURM cannot be asked how it is set up. `warn` gets a line where neither is to be relied on.
    """
    if not hasattr(settings, "status_command") or not (said := _configuration()):
        return
    remembers = int(said.get("MinJobAge", "0").split()[0]) >= REMEMBERED
    accounts = said.get("AccountingStorageType") not in ("accounting_storage/none", "(null)")
    settings.status_command = "squeue" if remembers or not accounts else "sacct"
    if not (remembers or accounts):
        warn(
            f"this cluster keeps no accounts, and its queue forgets jobs {said.get('MinJobAge')} after their end, so that a run may wait "
            f"for one that is over; stop it then and start it again, or have MinJobAge set to {REMEMBERED} or more"
        )


def _configuration() -> dict[str, str]:
    """What SLURM says of its configuration; empty where it cannot be asked."""
    try:
        said = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(re.findall(r"^(\w+)\s*=\s*(\S.*?)\s*$", said, re.MULTILINE))
