"""A model that all steps of a method have made, for the tests of single steps."""

import pytest

import drank
from tests.unit.steps.tiny import FEW, drawn_text
from tests.workflow.runs import write_model


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder in which a call has done all steps of a method, and the way to its model: the folder, the tokens, the plan."""
    folder = tmp_path_factory.mktemp("steps")
    write_model(folder / "tiny")
    drank.compress(folder / "tiny", "svd-llm", 0.4, drawn_text(), folder / "out", work=folder / "work", group=2, **FEW)
    (corpus,) = (folder / "work/results/tokens/tiny").glob("*.safetensors")
    (plan,) = (folder / "work/results/plans").rglob("*.json")
    return folder, corpus, plan
