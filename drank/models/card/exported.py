"""The cards of what a compressed model is exported to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drank.models.card import base
from drank.models.card.markdown import section, with_front_matter
from drank.models.card.rendering import PLACE, files_section
from drank.models.hashes import WeightHashes

_MERGED = """The low-rank factors of the compressed model `{name}` multiplied out into ordinary weight matrices.{how}

It computes what the low-rank model computes, up to rounding, and is **no smaller than the original**: use it where a program knows no
low-rank layers, and the compressed model everywhere else. It needs no drank:

```python
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("{place}")
```"""

_REMOTE_CODE = """The compressed model `{name}` with code of its own: `{code}`, beside the weights, puts the low-rank layers into the
stock model of transformers. It is as small as the compressed model, computes the same, and needs no drank, but transformers {oldest} or
newer. Code that comes with a model runs with your rights, so programs ask whether you trust it; read it, it is one short file:

```python
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("{place}", trust_remote_code=True)
```

{engine}Without `trust_remote_code` loading ends in an error that says so.{how}"""

_VLLM = """vLLM runs it by its Transformers backend: `vllm serve {place} --trust-remote-code`, or

```python
from vllm import LLM

model = LLM("{place}", trust_remote_code=True)
```

"""


def merged_card(name: str, hashes: WeightHashes, making: Mapping[str, Any] | None) -> str:
    """The card of the plain checkpoint that a compressed model, the folder `name`, was exported to; `making` is that of the model."""
    return _card(name, "merged", "finetune", _MERGED.format(name=name, how=_how(making), place=PLACE), hashes, making)


def remote_code_card(name: str, code: str, served: bool, hashes: WeightHashes, making: Mapping[str, Any] | None) -> str:
    """The card of a model with the file `code` beside its weights; `served` says whether vLLM runs it."""
    from drank.models.quantizer import OLDEST_TRANSFORMERS

    engine = _VLLM.format(place=PLACE) if served else ""
    text = _REMOTE_CODE.format(name=name, code=code, oldest=OLDEST_TRANSFORMERS, place=PLACE, engine=engine, how=_how(making))
    return _card(name, "remote code", "quantized", text, hashes, making)


def _how(making: Mapping[str, Any] | None) -> str:
    """How the compressed model came about; empty where nothing tells."""
    if not making:
        return ""
    made = f"{base.base_name(making)} compressed by {making['method'].get('title', making['label'])} at ratio {making['ratio']:g}"
    return f" That model is {made}, made with drank {making['drank']} on {making['date'][:10]}."


def _card(name: str, form: str, relation: str, text: str, hashes: WeightHashes, making: Mapping[str, Any] | None) -> str:
    hub = base.hub_id(making)
    parts = [
        f"# {name}, {form}",
        text,
        f"## Base model\n\n{base.base_section(making)}",
        f"## Licence\n\n{base.licence_section(making)}",
        f"## Files\n\n{section('files', files_section(hashes))}",
    ]
    metadata = {
        **base.licence_entries(making),
        "base_model": hub,
        "base_model_relation": relation if hub else None,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["drank", "svd", form.replace(" ", "-")],
    }
    return with_front_matter(metadata, "\n\n".join(parts) + "\n")
