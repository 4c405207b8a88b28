"""What a compressed model writes on its own is what transformers' `generate` has it write, in every family and storage."""

from __future__ import annotations

import pytest
import torch

from drank.evaluation.continuations import continuations_of

ASKED = {"prompts": 3, "prompt": 6, "tokens": 10}


@pytest.mark.parametrize("ended", [False, True])
def test_it_is_what_transformers_generates(family, compress, windows, ended):
    model = compress(family)[0]
    for config in (model.config.get_text_config(), model.config, model.generation_config):
        config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    if ended:
        model.generation_config.eos_token_id = continuations_of(model, windows, ASKED, "text").written[0][4]
    found = continuations_of(model, windows, ASKED, "text")
    prompts = torch.tensor(found.prompts)
    with torch.inference_mode():
        theirs = model.generate(prompts, attention_mask=torch.ones_like(prompts), do_sample=False, max_new_tokens=10)
    end = model.generation_config.eos_token_id
    for mine, whole in zip(found.written, theirs[:, prompts.shape[1] :].tolist(), strict=True):
        assert mine == (whole[: whole.index(end)] if end in whole else whole)
    assert min(map(len, found.written)) < 10 if ended else {len(mine) for mine in found.written} == {10}
