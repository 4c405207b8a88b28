"""Every family: a checkpoint that is whole passes, and every tensor that is missing, too many or misshapen is named at once."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from drank.models.checkpoint import refuse_incomplete, save
from drank.models.description import CheckpointError


def test_what_is_wrong_with_a_checkpoint_is_named_without_its_weights(family, compress, tmp_path):
    model, plan = compress(family, dense=("o",))
    save(model, None, plan.groups, tmp_path)
    refuse_incomplete(tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    factors = [name for name in tensors if name.endswith(("basis.weight", "coefficients.weight"))]
    norm = next(name for name in tensors if "norm" in name or "ln_" in name)
    gone, short = [factors[0], norm], factors[1]
    for name in gone:
        del tensors[name]
    tensors[short] = tensors[short][:-1].contiguous()
    tensors["surplus.bias"] = torch.zeros(2)
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError) as refused:
        refuse_incomplete(tmp_path)
    said = str(refused.value)
    assert "2 tensors missing" in said and "surplus.bias" in said and "1 tensors of another shape" in said
    assert all(name.rpartition(".")[0].rpartition(".")[2] in said for name in [*gone, short])
