"""Snakemake's notes in a database, which drank does not keep: what is current it tells by notes beside the results."""

from __future__ import annotations

from typing import Any


def refuse_database() -> None:
    """From now on let a run that is to keep its notes in a database end before it begins, with what to do."""
    from snakemake.persistence.db import DbPersistence

    DbPersistence.__init__ = _refuse


def _refuse(*_: Any, **__: Any) -> None:
    from snakemake_interface_common.exceptions import WorkflowError

    raise WorkflowError(
        "persistence-backend is db, which keeps Snakemake's notes in a database, and drank tells by notes beside the results what is "
        "current; say --persistence-backend file, or take that line out of the profile"
    )
