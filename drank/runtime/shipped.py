"""Where the workflow lies that comes with drank: in an installed drank inside the package, in a clone at its root."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]

WORKFLOW = next(folder for folder in (_PACKAGE / "pipeline", _PACKAGE.parent) if folder == _PACKAGE.parent or folder.is_dir())
"""The folder with `Snakefile`, `workflow`, `config`, `profiles` and `envs`."""

SCHEMA = WORKFLOW / "workflow/schemas/config.schema.yaml"
"""The schema of configurations."""
