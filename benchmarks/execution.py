"""Time ways of running models of LLaMA's shape: `python -m benchmarks.execution [--dtype bfloat16] [--threads 1] [--variants compiled]`.

Random weights, so many blocks that the dense ones come to `--gigabytes`; a small vocabulary, so that what is compressed is what takes time.
At each kept share, in both storages, ranks free or in multiples, in each of the variants of `drank.optimize`, timed as the workflow does
(`drank.evaluation.throughput`): medians of rounds in which all take turns. `--prompt 16` spares who asks for decoding the time of a prefill
of 512. LLaMA-7B on a GPU is `--device cuda --width 4096 --inner 11008 --gigabytes 13 --prompt 1024 --generate 256 --kept 0.8 0.7 0.6 0.5
--variants compiled --storages factors` (then `pivoted`: all models of a share are in memory at once), and the same with `--batch 32`.

Prints tokens a second and milliseconds (of a step, of a prompt), the share of the roofline, the speed-up over the plain dense model in the
same round, that as a share of what bytes (decode) or operations (prefill) allow, and both over the dense model that runs the same way.
Beside other work no figure means much.
"""

from __future__ import annotations

import argparse
import copy
import gc
import itertools
import statistics
import sys
from collections.abc import Callable, Mapping

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from benchmarks.storage import factors_at, pivoted_at
from drank.evaluation.ceilings import Ceilings
from drank.evaluation.rates import rows_of, tokens_of
from drank.evaluation.tensor_memory import weight_bytes
from drank.evaluation.throughput import measure
from drank.evaluation.timing import Timing
from drank.models.checkpoint import load_model
from drank.models.execution.optimize import VARIANTS, optimize
from drank.models.families import module_path, projections_of
from drank.models.groups import Shape
from drank.models.lowrank import LowRankLinear, sides_of

MAKERS: dict[str, Callable[[int, int, int, torch.dtype], LowRankLinear]] = {"factors": factors_at, "pivoted": pivoted_at}
"""What makes a random module of each storage."""


def say(line: str) -> None:
    """A line to whoever waits for it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def head_size(width: int) -> int:
    """The width of a head of attention: 64, and past a width of 2048 the 128 of LLaMA-7B."""
    return 128 if width > 2048 else 64


def dense_model(width: int, inner: int, gigabytes: float, dtype: torch.dtype) -> PreTrainedModel:
    """A model of so many blocks that these come to so many gigabytes."""
    block = (4 * width * width + 3 * width * inner) * dtype.itemsize
    layers = max(1, round(gigabytes * 1e9 / block))
    config = LlamaConfig(
        vocab_size=4096,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=width // head_size(width),
        num_key_value_heads=width // head_size(width),
        max_position_embeddings=2048,
    )
    made: PreTrainedModel = LlamaForCausalLM._from_config(config, dtype=dtype).eval()
    return made


def compressed(dense: PreTrainedModel, kept: float, storage: str, multiple: int) -> PreTrainedModel:
    """The model with random low-rank modules of uniform ranks in a storage."""
    model = copy.deepcopy(dense)
    for layer, place, module in projections_of(dense):
        rows, columns = sides_of(module)
        rank = Shape(place.role, (layer,), rows, columns, storage).rank_within(int(kept * rows * columns))
        made = MAKERS[storage](rows, columns, max(multiple, rank // multiple * multiple), dense.dtype)
        model.set_submodule(module_path(model.config.model_type, layer, place.role), made.eval())
    return model


def told(what: str, found: dict[tuple[str, str], Timing], tokens: Mapping[str, int]) -> None:
    """Print a line for each phase and each timing, by form and variant; `tokens` are those of a round by phase."""
    allowed: dict[str, Callable[[Timing], int]] = {
        "prefill": lambda timing: timing.work["prefill"].operations,
        "decode": lambda timing: timing.memory["weight_bytes"],
    }
    for phase, cost in allowed.items():
        for (form, variant), timing in found.items():
            plain, same = (found["dense", other] for other in ("plain", variant))
            bound = cost(plain) / cost(timing)
            beside = [_quicker(timing, other, phase) for other in (plain, same)]
            took = 1e3 * statistics.median(_seconds(timing, phase))
            rows = {row["metric"]: row["value"] for row in rows_of(timing, tokens, None, {}) if row["dataset"] == phase}
            line = f"{phase:7} {what} {form:8} {variant:9} {rows['tokens_per_second']:8.1f} tokens/s {took:8.1f} ms"
            line += f", {rows['roofline_share']:.2f} of the roofline"
            line += f"  {beside[0]:5.2f} × dense, {beside[0] / bound:.2f} of {bound:.2f}"
            say(f"{line}; {beside[1]:5.2f} × dense {variant}, {beside[1] / bound:.2f}")


def _seconds(timing: Timing, phase: str) -> list[float]:
    """By round the seconds of a prompt, or of a decoded token (the median)."""
    return [statistics.median(steps) for steps in timing.steps] if phase == "decode" else timing.seconds[phase]


def _quicker(timing: Timing, other: Timing, phase: str) -> float:
    """The median over rounds of how many times quicker than another in the same round."""
    return statistics.median(there / own for own, there in zip(_seconds(timing, phase), _seconds(other, phase), strict=True))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = {"width": 2048, "inner": 5632, "prompt": 512, "generate": 32, "batch": 1, "repeats": 5, "threads": 2}
    for option, default in options.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--model", help="a model directory in the place of that shape; its projections get random factors all the same")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="bfloat16")
    parser.add_argument("--kept", type=float, nargs="+", default=[0.8, 0.6, 0.4])
    parser.add_argument("--multiples", type=int, nargs="+", default=[64, 1])
    parser.add_argument("--variants", choices=VARIANTS, nargs="+", default=["plain", "fused"])
    parser.add_argument("--storages", choices=tuple(MAKERS), nargs="+", default=list(MAKERS))
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    dtype = getattr(torch, asked.dtype)
    dense = load_model(asked.model, dtype) if asked.model else dense_model(asked.width, asked.inner, asked.gigabytes, dtype)
    variants = dict.fromkeys(["plain", *asked.variants])
    size = weight_bytes(dense) / 1e9
    say(f"{dense.config.num_hidden_layers} blocks, {size:.2f} GB, {asked.dtype}, {asked.threads} threads, {asked.device}")
    denses = {("dense", variant): optimize(copy.deepcopy(dense).to(asked.device), variant) for variant in variants}
    sizes = {name: getattr(asked, name) for name in ("batch", "prompt", "generate", "repeats")}
    for kept, multiple in itertools.product(asked.kept, asked.multiples):
        models = dict(denses)
        for storage in asked.storages:
            made = compressed(dense, kept, storage, multiple)
            models |= {(storage, variant): optimize(copy.deepcopy(made).to(asked.device), variant) for variant in variants}
            del made
        found = measure({"/".join(name): model for name, model in models.items()}, **sizes, ceilings=Ceilings.of(asked.device, asked.dtype))
        told(f"kept {kept:.1f} in {multiple:2}s", dict(zip(models, found.values(), strict=True)), tokens_of(sizes))
        del models
        gc.collect()  # compiled models hold themselves by the forward that was put in, and the next ones need their room


if __name__ == "__main__":
    main()
