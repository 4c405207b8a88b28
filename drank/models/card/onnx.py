"""The card of an ONNX model that was made of a compressed one, or of a dense one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drank.models.card import base
from drank.models.card.markdown import section, with_front_matter
from drank.models.card.rendering import files_section
from drank.models.hashes import WeightHashes

_RUN = """import numpy as np
import onnxruntime
from transformers import AutoTokenizer

place = "path/to/this/model"
tokenizer = AutoTokenizer.from_pretrained(place)
session = onnxruntime.InferenceSession(f"{place}/model.onnx", providers=["CPUExecutionProvider"])
cached = session.get_inputs()[3:]
ids = np.array([tokenizer("Return the number of").input_ids])
text, cache = ids, [np.zeros((1, one.shape[1], 0, one.shape[3]), np.float32) for one in cached]
for _ in range(20):
    mask = np.ones_like(text)
    positions = np.arange(text.shape[1])[None, -ids.shape[1] :]
    inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
    logits, *cache = session.run(None, inputs | {one.name: value for one, value in zip(cached, cache)})
    ids = logits[:, -1:].argmax(-1)
    text = np.concatenate([text, ids], 1)
print(tokenizer.decode(text[0]))"""


def onnx_card(name: str, hashes: WeightHashes, making: Mapping[str, Any] | None, low_rank: bool, facts: Mapping[str, str]) -> str:
    """The card of the ONNX model that the folder `name` was exported to; `making` is what is noted down of how that model was made.

    `facts` are pairs to tell: what was checked, by which versions.
    """
    how = "a plain model."
    if low_rank:
        how = "a model that was compressed by drank: its low-rank layers are two small products each, and stored so."
    if making and low_rank:
        how += f" That model is {base.base_name(making)} compressed by {making['method'].get('title', making['label'])} at ratio "
        how += f"{making['ratio']:g}, made with drank {making['drank']} on {making['date'][:10]}."
    told = "\n".join(f"- {key}: {value}" for key, value in facts.items())
    body = f"""# {name}, ONNX

An ONNX graph with key-value cache of {how}

It runs without drank and without torch (`pip install onnxruntime transformers`):

```python
{_RUN}
```

Inputs are `input_ids`, `attention_mask`, `position_ids` and `past_key_values.N.key` and `.value`, of no tokens at first; outputs are
`logits` and `present.N.key` and `.value`. Padding comes first, and positions count from the first token that is none.

{told}

## Base model

{base.base_section(making)}

## Licence

{base.licence_section(making)}

## Files

{section("files", files_section(hashes))}
"""
    hub = base.hub_id(making)
    metadata = {
        **base.licence_entries(making),
        "base_model": hub,
        "base_model_relation": "quantized" if hub else None,
        "library_name": "onnx",
        "pipeline_tag": "text-generation",
        "tags": ["drank", "svd", "onnx"] if low_rank else ["drank", "onnx"],
    }
    return with_front_matter(metadata, body)
