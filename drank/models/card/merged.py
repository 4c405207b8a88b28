"""The card of a plain model that was made of a compressed one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drank.models.card import base
from drank.models.card.markdown import section, with_front_matter
from drank.models.card.rendering import files_section
from drank.models.hashes import WeightHashes


def merged_card(name: str, hashes: WeightHashes, making: Mapping[str, Any] | None) -> str:
    """The card of the plain checkpoint that a compressed model, the folder `name`, was exported to; `making` is that of the model."""
    hub, how = base.hub_id(making), ""
    if making:
        how = f" That model is {base.base_name(making)} compressed by {making['method'].get('title', making['label'])} at ratio "
        how += f"{making['ratio']:g}, made with drank {making['drank']} on {making['date'][:10]}."
    body = f"""# {name}, merged

The low-rank factors of the compressed model `{name}` multiplied out into ordinary weight matrices.{how}

It computes what the low-rank model computes, up to rounding, and is **no smaller than the original**: use it where a program knows no
low-rank layers, and the compressed model everywhere else. It needs no drank:

```python
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("path/to/this/model")
```

## Base model

{base.base_section(making)}

## Licence

{base.licence_section(making)}

## Files

{section("files", files_section(hashes))}
"""
    metadata = {
        **base.licence_entries(making),
        "base_model": hub,
        "base_model_relation": "finetune" if hub else None,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["drank", "svd", "merged"],
    }
    return with_front_matter(metadata, body)
