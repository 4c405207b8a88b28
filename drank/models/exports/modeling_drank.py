"""A stock model of transformers with low-rank layers in it: the code of a model that drank exported, for which torch and transformers do.

config.json names its classes in `auto_map`, layers under `drank`: `DrankLlamaForCausalLM` is `LlamaForCausalLM` with other projections.
"""

from __future__ import annotations

import copy
import functools
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from torch import Tensor, nn

transformers.utils.versions.require_version("transformers>=5.8", "Older ones read some families with low-rank layers wrongly.")

SEAL = "this model has low-rank layers, whose code lies beside it: load it by an AutoModel class, with trust_remote_code=True"
"""What config.json has for the file of weights, so that the stock class does not come up with random ones; the name of a tensor too."""


class LowRankLinear(nn.Module):
    """A linear map stored as two, of which the first layer of a group owns the basis; in pivoted form it takes some inputs as they are."""

    def __init__(self, dense: Any, rank: int, pivoted: bool, owner: LowRankLinear | None) -> None:
        """Stand in for a dense projection, on its device and with its dtype; a state dict gives the weights."""
        super().__init__()
        made: Any = {"device": dense.weight.device, "dtype": dense.weight.dtype}
        self.rank, self.pivoted, sides = rank, pivoted, dense.weight.shape
        self.in_features, self.out_features = sides if hasattr(dense, "nf") else sides[::-1]  # GPT-2 stores (d1, d2)
        self._owner = () if owner is None else (owner,)  # a tuple, for nn.Module registers every module that is an attribute
        if owner is None:
            self.basis = nn.Linear(self.in_features - rank * pivoted, rank, bias=False, **made)
            if pivoted:
                self.register_buffer("order", torch.zeros(self.in_features, dtype=torch.int64))  # numbers of pivots, then of other inputs
        self.coefficients = nn.Linear(rank, self.out_features, bias=dense.bias is not None, **made)
        self.register_buffer("weight", torch.empty(0, **made))  # under the name of the dense weight, in a shape that none has

    def forward(self, x: Tensor) -> Tensor:
        """`coefficients(basis(x))`, or `coefficients(x[pivots] + basis(x[others]))`; ValueError where that gets a share of its inputs."""
        owner: Any = self._owner[0] if self._owner else self
        if not self.pivoted:
            return self.coefficients(owner.basis(x))
        if x.shape[-1] != self.in_features:
            raise ValueError(f"given {x.shape[-1]} of {self.in_features} inputs: pivoted layers do not run tensor parallel, factors do")
        x = x.to(owner.order.device)  # the owner's, perhaps not the one of this layer, to which accelerate brings inputs
        pivots, others = (x.gather(-1, part) for part in owner.order.expand(*x.shape).split((self.rank, x.shape[-1] - self.rank), dim=-1))
        return self.coefficients(pivots + owner.basis(others))


class Experts(nn.Module):
    """The experts of one block, each with projections of its own, in place of transformers' fused 3-D parameters."""

    def __init__(self, fused: Any) -> None:
        """As many as are fused, of the same sizes; their names are none that transformers fuses while it loads."""
        super().__init__()
        (count, hidden, inner), self.act_fn = fused.down_proj.shape, fused.act_fn
        made = {"bias": False, "device": fused.down_proj.device, "dtype": fused.down_proj.dtype}
        sides = {"gate": (hidden, inner), "up": (hidden, inner), "down": (inner, hidden)}
        self.each = nn.ModuleList(nn.ModuleDict({name: nn.Linear(*two, **made) for name, two in sides.items()}) for _ in range(count))

    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        """Sum over the chosen experts of weight × output, (tokens, d); index and weights are (tokens, experts per token)."""
        result = torch.zeros_like(hidden_states)
        for expert in top_k_index.unique().tolist():
            tokens, choices = torch.where(top_k_index == expert)
            x, own = hidden_states[tokens], cast("nn.ModuleDict", self.each[expert])
            output = own["down"](self.act_fn(own["gate"](x)) * own["up"](x)) * top_k_weights[tokens, choices, None]
            result.index_add_(0, tokens, output.to(result.dtype))
        return result


class _WithLowRank:
    """What makes a class of transformers one of models with low-rank layers: it stands before that class among the bases."""

    def post_init(self: Any) -> None:
        """Put the layers in place once the stock modules are there, and before transformers gives these their first weights."""
        if (described := getattr(self.config, "drank", None)) is None:
            raise ValueError(f"the configuration lacks `drank`, which says what layers a {type(self).__name__} has; export it again")
        attention = str(getattr(self.config, "_attn_implementation", ""))  # by which servers are known
        if (server := next((name for name in ("vllm", "sglang") if attention.startswith(name)), "")) and described["experts"]:
            raise ValueError(f"{server} fuses experts, which have layers of their own here; use transformers, or `drank export --to dense`")
        root = f"{self.base_model_prefix}." if self.base_model is self else ""  # which paths have in a model with a head
        for path in (path.removeprefix(root) for path in described["experts"]):
            self.set_submodule(path, Experts(self.get_submodule(path)))
        for group in described["groups"]:
            pivoted, owner = {"factors": False, "pivoted": True}[group["storage"]], None
            for path in (path.removeprefix(root) for path in group["modules"]):
                self.set_submodule(path, module := LowRankLinear(self.get_submodule(path), group["rank"], pivoted, owner))
                owner = owner or module
        self.register_buffer(SEAL, torch.empty(0))
        for ignored in ("_keys_to_ignore_on_load_missing", "_keys_to_ignore_on_load_unexpected"):
            known = getattr(self, ignored, None) or []  # a list or a set, by the version of transformers
            setattr(self, ignored, type(known)([*known, re.escape(SEAL)]))
        super().post_init()  # type: ignore[misc]
        self._tp_plan = _plan(self, getattr(self, "_tp_plan", None) or {}) if server else {}  # transformers shares out no such layers
        for parent in self.modules() if server == "vllm" else ():
            if layers := frozenset(name for name, child in parent.named_children() if isinstance(child, LowRankLinear)):
                parent.__class__ = _told_apart(cast("Any", type(parent)), layers)

    @classmethod
    def from_pretrained(cls: Any, name: Any, *args: Any, config: Any = None, **options: Any) -> Any:
        """As for every model of transformers; raises ValueError that names each tensor of the layers that is not what it must be."""
        if not isinstance(config, transformers.PreTrainedConfig):
            where = {key: options[key] for key in ("revision", "token", "cache_dir", "subfolder", "local_files_only") if key in options}
            config = cls._stock.config_class.from_pretrained(name if config is None else config, **where)
        if getattr(config := copy.deepcopy(config), "transformers_weights", None) == SEAL:
            del config.transformers_weights
        if isinstance(places := options.get("device_map"), dict) and "" not in places:
            options["device_map"] = {SEAL: "cpu", **places}  # it is in no module, and accelerate wants a place for every tensor
        heads = ("embed_out", "lm_head") if "embed_out" in str(getattr(cls._stock, "_tied_weights_keys", "")) else ("lm_head", "embed_out")
        options.setdefault("key_mapping", {rf"^{heads[1]}\.": f"{heads[0]}."})  # GPT-NeoX's has either name, by the version of transformers
        forced = {"ignore_mismatched_sizes": True, "output_loading_info": True, "offload_buffers": False}  # other layers read orders
        model, info = super().from_pretrained(name, *args, config=config, **options | forced)  # type: ignore[misc]
        if wrong := sorted(set(_wrong(model, info, options.get("ignore_mismatched_sizes", False)))):
            raise ValueError(f"{name} holds no whole model of this kind; fetch it again, or export it again:\n  " + "\n  ".join(wrong))
        model._weight_conversions = []  # what is saved has the names of the modules, which every version of transformers reads
        return (model, info) if options.get("output_loading_info") else model

    def save_pretrained(self: Any, save_directory: Any, *args: Any, **options: Any) -> None:
        """As for every model of transformers, with the code beside the weights and config.json sealed again."""
        self.config.auto_map = {auto: name.rpartition("--")[2] for auto, name in (getattr(self.config, "auto_map", None) or {}).items()}
        super().save_pretrained(save_directory, *args, **options)  # type: ignore[misc]
        _sealed(save_directory)

    def _upload_modified_files(self: Any, working_dir: Any, *args: Any, **options: Any) -> Any:
        return super()._upload_modified_files(_sealed(working_dir), *args, **options)  # type: ignore[misc]

    def load_weights(self: Any, weights: Any) -> Any:
        """What servers load by: as they do it, but for a ValueError with each tensor of the layers that lacks or has no place."""
        came: dict[str, str] = {}
        place = "sglang.srt" if str(self.config._attn_implementation).startswith("sglang") else "vllm.model_executor"
        server: Any = importlib.import_module(f"{place}.models.utils")  # no import, or transformers asks for both
        loaded = server.AutoWeightsLoader(self).load_weights((came.setdefault(name, name), tensor) for name, tensor in weights)
        layers = {path: module for path, module in self.named_modules() if isinstance(module, LowRankLinear)}
        held = {f"{path}.{name}" for path, module in layers.items() for name in module.state_dict() if name != "weight"}
        sent = {name for name in came if name.startswith(tuple(f"{path}." for path in layers))} - {f"{path}.weight" for path in layers}
        if told := [*(f"{name}: missing" for name in held - sent), *(f"{name}: unexpected" for name in sent - held), *_orders(layers)]:
            raise ValueError("this is no whole model; fetch it again, or export it again:\n  " + "\n  ".join(sorted(told)))
        return loaded

    @classmethod
    def _can_set_attn_implementation(cls: Any) -> bool:
        return bool(cls._stock._can_set_attn_implementation())  # which reads the source of the class's own file


def _sealed(directory: Any) -> Any:
    """The directory, with the seal in its config.json: transformers takes it out to save, and uploads before `save_pretrained` is done."""
    if (file := Path(directory, "config.json")).is_file() and "drank" in (config := json.loads(file.read_text("utf-8"))):
        file.write_text(json.dumps(config | {"transformers_weights": SEAL}, indent=2, sort_keys=True) + "\n", "utf-8")
    return directory


def _wrong(model: Any, info: Mapping[str, Any], lenient: bool) -> Iterator[str]:
    """What keeps a loaded model from being the exported one, a line each; a new head may lack its weights, and a file may have another."""
    layers = {path: module for path, module in model.named_modules() if isinstance(module, LowRankLinear)}
    body = "" if model.base_model is model or "AutoModelForCausalLM" in model._auto_class else f"{model.base_model_prefix}."
    yield from (f"{name}: missing" for name in info["missing_keys"] if name.startswith(body))
    yield from (f"{name}: unexpected" for name in info["unexpected_keys"] if not name.startswith(("lm_head.", "embed_out.", "score.")))
    for name, found, wanted in info["mismatched_keys"]:
        if not lenient or name.startswith(tuple(f"{path}." for path in layers)):
            yield f"{name}: of shape {tuple(found)}, must be {tuple(wanted)}"
    yield from _orders(layers)


def _orders(layers: Mapping[str, LowRankLinear]) -> Iterator[str]:
    """The orders that are none of the inputs, a line each."""
    for path, order in ((path, cast("Tensor", module.order)) for path, module in layers.items() if hasattr(module, "order")):
        if not order.is_meta and sorted(order.tolist()) != list(range(len(order))):
            yield f"{path}.order: does not have each of the {len(order)} inputs once"


def _plan(model: Any, plan: Mapping[str, str]) -> dict[str, str]:
    """vLLM's plan for tensor parallelism behind that of the layers, as the first entry that fits counts; what has no split is whole."""
    ours: dict[str, str] = {}
    for path, module in model.named_modules():
        if isinstance(module, LowRankLinear) and (style := plan.get(key := re.sub(r"\.\d+(?=\.)", ".*", path))):
            split = "coefficients" if style.startswith("col") else "basis" if style == "rowwise" and not module.pivoted else ""
            ours |= {f"{key}.{part}": style if part == split else "replicate" for part in ("basis", "coefficients")}
    return ours | dict(plan)


@functools.cache
def _told_apart(kind: type, layers: frozenset[str]) -> Any:
    """A class for modules of this kind that hold these layers: vLLM asks by class which projections it may fuse."""
    return type(kind.__name__, (kind,), {"__module__": kind.__module__, "__doc__": f"{kind.__name__} with low-rank {sorted(layers)}."})


def __getattr__(name: str) -> Any:
    """The class with low-rank layers of a class of transformers, whose name it has after `Drank`."""
    stock = getattr(transformers, name.removeprefix("Drank"), None) if name.startswith("Drank") else None
    if not (isinstance(stock, type) and issubclass(stock, transformers.PreTrainedModel)):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    auto = "AutoModelForCausalLM" if name.endswith("LMHeadModel") else f"AutoModel{''.join(name.partition('For')[1:])}"
    return globals().setdefault(name, type(name, (_WithLowRank, stock), {"__module__": __name__, "_stock": stock, "_auto_class": auto}))
