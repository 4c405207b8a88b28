"""Progress of a call in a program that is not drank's own: lines while it lasts, and the program's logging as it was."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drank.runtime.log import TIME, Short


@contextmanager
def telling(name: str, log_path: str | Path | None = None) -> Iterator[None]:
    """Lines of progress on stderr, each after `name`, and in a file where one is given, until the context ends.

    Not on stderr where the program has handlers of its own; and where it has set the level of `drank`, that holds.
    """
    drank, level, handlers = logging.getLogger("drank"), logging.getLogger("drank").level, list[logging.Handler]()
    if not drank.hasHandlers():
        handlers.append(logging.StreamHandler())
        handlers[0].setFormatter(Short(name))
        handlers[0].addFilter(lambda record: not getattr(record, "brief", False))
    if log_path is not None:
        handlers.append(logging.FileHandler(log_path, encoding="utf-8"))
        handlers[-1].setFormatter(logging.Formatter(f"%(asctime)s %(levelname)s {name.replace('%', '%%')}: %(message)s", TIME))
    for handler in handlers:
        drank.addHandler(handler)
    drank.setLevel(level or logging.INFO)
    try:
        yield
    finally:
        drank.setLevel(level)
        for handler in handlers:
            drank.removeHandler(handler)
            handler.close()
