"""The code that lies beside an exported model, in the hands of a server or of an old transformers; stand-ins are in the servers' place."""

from __future__ import annotations

import re
import runpy
import sys
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils import versions

from drank.models.exports import remote_code
from drank.models.exports.remote_code import add_code
from drank.models.quantizer import OLDEST_TRANSFORMERS
from tests.unit.small_compressed import compressed

SOURCE = Path(remote_code.__file__).with_name(remote_code.CODE)
HOMES = {"vllm": "vllm.model_executor.models.utils", "sglang": "sglang.srt.models.utils"}
Q = "layers.0.self_attn.q_proj"


class AutoWeightsLoader:
    """Loads into parameters and buffers by name, and drops a bias that has no place, as those of both servers do."""

    most = 0
    """Tensors that were alive at once."""

    def __init__(self, module: nn.Module) -> None:
        self.state = module.state_dict()

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        came: list[Callable[[], Tensor | None]] = []
        for name, tensor in weights:
            came.append(weakref.ref(tensor))
            if name in self.state or not name.endswith(".bias"):
                self.state[name].copy_(tensor)
            AutoWeightsLoader.most = max(AutoWeightsLoader.most, sum(one() is not None for one in came))
        return set(self.state)


@pytest.fixture(params=HOMES)
def served(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any, dict[str, Tensor]]:
    """A compressed model, its base model as the server builds it by the code, and what there is to load; only that server is installed."""
    model = compressed(tmp_path / "model")
    add_code(tmp_path / "model", tmp_path / "export")
    for name, home in HOMES.items():
        monkeypatch.setitem(sys.modules, name, None)
        if name == request.param:
            parts = home.split(".")
            for end in range(1, len(parts) + 1):
                standing = SimpleNamespace(__path__=[], AutoWeightsLoader=AutoWeightsLoader)
                monkeypatch.setitem(sys.modules, ".".join(parts[:end]), standing)
    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, request.param, sdpa_attention_forward)
    config = AutoConfig.from_pretrained(tmp_path / "export", trust_remote_code=True)
    config._attn_implementation = request.param
    built = AutoModel.from_config(config, trust_remote_code=True).eval()
    tensors = load_file(tmp_path / "export" / "model.safetensors")
    del tensors["lm_head.weight"]
    return model, built, {name.removeprefix("model."): tensor for name, tensor in tensors.items()}


def test_a_server_loads_it_and_keeps_no_tensor_that_has_found_its_place(served: Any) -> None:
    model, built, tensors = served
    AutoWeightsLoader.most = 0
    built.load_weights((name, tensor.clone()) for name, tensor in tensors.items())
    assert AutoWeightsLoader.most <= 2, "one at work, and perhaps the one before it"
    tokens = torch.arange(10)[None]
    mask = torch.ones(1, 1, 10, 10).tril() > 0
    with torch.no_grad():
        found = built(tokens, attention_mask=mask, use_cache=False)[0]
        torch.testing.assert_close(found, model.model(tokens, use_cache=False)[0])


def test_what_a_server_lacks_or_drops_is_named(served: Any) -> None:
    _, built, tensors = served
    changed = {name: tensor for name, tensor in tensors.items() if name != f"{Q}.basis.weight"}
    with pytest.raises(ValueError, match=re.escape(f"{Q}.basis.weight: missing")):
        built.load_weights(changed.items())
    with pytest.raises(ValueError, match=re.escape(f"{Q}.coefficients.bias: unexpected")):
        built.load_weights((tensors | {f"{Q}.coefficients.bias": torch.zeros(8)}).items())


def test_a_server_shares_out_coefficients_and_no_basis_of_what_it_splits_by_outputs(served: Any) -> None:
    """The first entry that fits counts."""
    _, built, _ = served
    fits = [style for key, style in built._tp_plan.items() if re.match(key, f"{Q}.basis")]
    assert fits[0] == "replicate" and built._tp_plan["layers.*.self_attn.q_proj.coefficients"].startswith("col")


def test_a_transformers_that_reads_some_families_wrongly_is_refused_as_drank_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    major, minor = map(int, OLDEST_TRANSFORMERS.split("."))
    monkeypatch.setattr(versions.importlib.metadata, "version", lambda name: f"{major}.{minor - 1}.9")
    with pytest.raises(ImportError, match=rf"(?s)transformers>={re.escape(OLDEST_TRANSFORMERS)} is required.*wrongly"):
        runpy.run_path(str(SOURCE))
    monkeypatch.setattr(versions.importlib.metadata, "version", lambda name: f"{OLDEST_TRANSFORMERS}.0")
    assert runpy.run_path(str(SOURCE))["LowRankLinear"]
