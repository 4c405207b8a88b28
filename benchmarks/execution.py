"""Time ways of running models of LLaMA's shape: `python -m benchmarks.execution [--dtype bfloat16] [--threads 1] [--variants compiled]`.

Random weights, so many blocks that the dense ones come to `--gigabytes`; a small vocabulary, so that what is compressed is what takes time.
At each kept share, in both storages, ranks free or in multiples, in each of the variants of `drank.optimize`. Decode is `--generate` tokens
for each of `--batch` prompts of 16, prefill as many prompts of `--prompt`. All take turns, and medians of the rounds count. LLaMA-7B on a
GPU is `--device cuda --width 4096 --inner 11008 --gigabytes 13 --prompt 1024 --generate 256 --kept 0.8 0.7 0.6 0.5`.

Prints milliseconds (of a token, of a prompt), the speed-up over the plain dense model in the same round, that as a share of what bytes
(decode) or operations (prefill) allow, and both over the dense model that runs the same way. Beside other work no figure means much.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, StaticCache

from drank.models.checkpoint import load_model
from drank.models.execution.optimize import VARIANTS, optimize
from drank.models.families import module_path, projections_of
from drank.models.groups import Shape
from drank.models.lowrank import MODULES, PivotedLinear, sides_of


def say(line: str) -> None:
    """A line to whoever waits for it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def dense_model(width: int, inner: int, gigabytes: float, dtype: torch.dtype) -> PreTrainedModel:
    """A model of so many blocks that these come to so many gigabytes."""
    block = (4 * width * width + 3 * width * inner) * dtype.itemsize
    layers = max(1, round(gigabytes * 1e9 / block))
    config = LlamaConfig(
        vocab_size=4096,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
        max_position_embeddings=2048,
    )
    made: PreTrainedModel = LlamaForCausalLM._from_config(config, dtype=dtype).eval()
    return made


def compressed(dense: PreTrainedModel, kept: float, storage: str, multiple: int) -> PreTrainedModel:
    """The model with random low-rank modules of uniform ranks in a storage."""
    model = copy.deepcopy(dense)
    for layer, place, module in projections_of(dense):
        rows, columns = sides_of(module)
        shape = Shape(place.role, (layer,), rows, columns, storage)
        rank = max(multiple, shape.rank_within(int(kept * rows * columns)) // multiple * multiple)
        made = MODULES[storage](module, rank)
        stored = rows - rank if storage == "pivoted" else rows
        made.fill(torch.randn(stored, rank) / rows**0.5, torch.randn(rank, columns) / rank**0.5, module)
        if isinstance(made, PivotedLinear):
            made.place(torch.randperm(rows)[:rank].sort().values)
        model.set_submodule(module_path(model.config.model_type, layer, place.role), made)
    return model


def counted(model: nn.Module) -> int:
    """Numbers that every token is multiplied by: those of all linear maps, which a tied head is one of."""
    return sum(module.weight.numel() for module in model.modules() if isinstance(module, nn.Linear))


def now(device: torch.device) -> float:
    """The time, once the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def prefill(model: PreTrainedModel, ids: torch.Tensor, room: int) -> Any:
    """What a model says of a prompt, and its cache with room for so many tokens more."""
    static = model.generation_config is not None and model.generation_config.cache_implementation == "static"
    told = {"past_key_values": StaticCache(model.config, max_cache_len=ids.shape[1] + room)} if static else {}
    return model(input_ids=ids, use_cache=True, logits_to_keep=1, **told)


def seconds_of_prefill(model: PreTrainedModel, ids: torch.Tensor) -> float:
    """Seconds of one prefill."""
    started = now(ids.device)
    prefill(model, ids, 0)
    return now(ids.device) - started


def seconds_of_token(model: PreTrainedModel, ids: torch.Tensor, generate: int) -> float:
    """Seconds of a decoded token, the median of so many."""
    state, seconds = prefill(model, ids, generate), []
    for _ in range(generate):
        token = state.logits[:, -1:].argmax(-1)
        started = now(ids.device)
        state = model(input_ids=token, past_key_values=state.past_key_values, use_cache=True)
        seconds.append(now(ids.device) - started)
    return statistics.median(seconds)


def told(what: str, models: dict[tuple[str, str], PreTrainedModel], time_of: Callable[[PreTrainedModel], float], repeats: int) -> None:
    """Time models in turn and print a line for each; a first round warms up, and compiles."""
    seconds: dict[tuple[str, str], list[float]] = {name: [] for name in models}
    for turn in range(repeats + 1):
        for name, model in models.items():
            took = time_of(model)
            if turn:
                seconds[name].append(took)
    for (form, variant), rounds in seconds.items():
        plain, same = (_over(rounds, seconds["dense", other]) for other in ("plain", variant))
        bound = counted(models["dense", "plain"]) / counted(models[form, variant])
        line = f"{what} {form:8} {variant:9} {1e3 * statistics.median(rounds):8.1f} ms"
        say(f"{line}  {plain:5.2f} × dense, {plain / bound:.2f} of {bound:.2f}; {same:5.2f} × dense {variant}, {same / bound:.2f}")


def _over(seconds: list[float], others: list[float]) -> float:
    """The median over rounds of how many times quicker than others."""
    return statistics.median(other / own for own, other in zip(seconds, others, strict=True))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = {"width": 2048, "inner": 5632, "prompt": 512, "generate": 32, "batch": 1, "repeats": 5, "prefills": 3, "threads": 2}
    for option, default in options.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--model", help="a model directory in the place of that shape; its projections get random factors all the same")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="bfloat16")
    parser.add_argument("--kept", type=float, nargs="+", default=[0.8, 0.6, 0.4])
    parser.add_argument("--multiples", type=int, nargs="+", default=[64, 1])
    parser.add_argument("--variants", choices=VARIANTS, nargs="+", default=["plain", "fused"])
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    dtype = getattr(torch, asked.dtype)
    dense = load_model(asked.model, dtype) if asked.model else dense_model(asked.width, asked.inner, asked.gigabytes, dtype)
    ids = torch.randint(4096, (asked.batch, asked.prompt), device=asked.device)
    variants = dict.fromkeys(["plain", *asked.variants])
    size = counted(dense) * dense.dtype.itemsize / 1e9
    say(f"{dense.config.num_hidden_layers} blocks, {size:.2f} GB, {asked.dtype}, {asked.threads} threads, {asked.device}")
    denses = {("dense", variant): optimize(copy.deepcopy(dense).to(asked.device), variant) for variant in variants}
    for kept, multiple in itertools.product(asked.kept, asked.multiples):
        models = dict(denses)
        for storage in MODULES:
            made = compressed(dense, kept, storage, multiple)
            models |= {(storage, variant): optimize(copy.deepcopy(made).to(asked.device), variant) for variant in variants}
        with torch.no_grad():
            what = f"kept {kept:.1f} in {multiple:2}s"
            told(f"decode  {what}", models, lambda model: seconds_of_token(model, ids[:, :16], asked.generate), asked.repeats)
            if asked.prefills:
                told(f"prefill {what}", models, lambda model: seconds_of_prefill(model, ids), asked.prefills)


if __name__ == "__main__":
    main()
