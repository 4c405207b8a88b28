"""Every family: the logits out of what leaves the last block are those of the whole model."""

from __future__ import annotations

import pytest
import torch

from drank.evaluation.reference import Reference, store_reference
from drank.models.checkpoint import load_model
from drank.models.families import FAMILIES


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_norm_and_head_give_the_logits_of_the_model(tiny_model, family, tmp_path, dtype):
    told = {"output_router_logits": True} if FAMILIES[family].mixture else {}  # which the routers of no block that is left out can give
    directory = tmp_path / "model"
    tiny_model(family, **told).save_pretrained(directory)
    windows = list(torch.randint(0, 250, (3, 20), generator=torch.Generator().manual_seed(5)))
    model = load_model(directory, dtype)
    store_reference(model, windows, tmp_path / "kept", {}, batch=2)
    beside = Reference.read(tmp_path / "kept", directory).beside("cpu")
    found = [logits.float() for number, chunk in enumerate((windows[:2], windows[2:])) for logits in beside(number, chunk)]
    with torch.no_grad():
        wanted = [model(window[None]).logits[0, :-1].float() for window in windows]
    within = {"rtol": 0, "atol": 1e-4 if dtype == torch.float32 else 0.1}
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, **within)
