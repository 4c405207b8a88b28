"""What all tests share: one thread per process, no network, properties that draw the same examples on every run."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # tests run in several processes; read once, when torch is first imported
os.environ["MPLBACKEND"] = "agg"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from pathlib import Path

import pytest
from hypothesis import settings

# a shell that has the project on its path must not be what makes a test pass
PATHS = os.environ.get("PYTHONPATH", "").split(os.pathsep)
os.environ["PYTHONPATH"] = os.pathsep.join(path for path in PATHS if path and not Path(path, "drank").is_dir())

settings.register_profile("drank", deadline=None, derandomize=True, database=None)
settings.load_profile("drank")

# assertions of shared helpers tell as much as those of tests
pytest.register_assert_rewrite("tests.unit", "tests.contract", "tests.docs", "tests.slurm", "tests.browser", "tests.vllm")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of a folder with its name: `pytest -m "not workflow"` leaves out those that run Snakemake."""
    for item in items:
        folders = Path(item.path).relative_to(Path(__file__).parent).parts[:-1]
        for kind in {"browser", "contract", "docs", "slurm", "vllm", "workflow"}.intersection(folders):
            item.add_marker(kind)
