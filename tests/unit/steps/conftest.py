"""A model that all steps of a method have made, for the tests of single steps."""

import pytest
import torch

import drank
from tests.workflow.runs import WORDS, write_model


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder in which a call has done all steps of a method, and the way to its model: the folder, the tokens, the plan."""
    folder = tmp_path_factory.mktemp("steps")
    write_model(folder / "tiny")
    drawn = torch.randint(len(WORDS), (900,), generator=torch.Generator().manual_seed(5))
    text = " ".join(WORDS[i] for i in drawn) + "\n"
    few = {"windows": 6, "length": 16, "batch": 4, "threads": 1}
    drank.compress(folder / "tiny", "svd-llm", 0.4, text, folder / "out", work=folder / "work", group=2, **few)
    (corpus,) = (folder / "work/results/tokens/tiny").glob("*.safetensors")
    (plan,) = (folder / "work/results/plans").rglob("*.json")
    return folder, corpus, plan
