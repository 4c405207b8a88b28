"""Time vLLM on models of LLaMA's shape: `.vllm/bin/python -m benchmarks.serving` (`make test-vllm` makes that environment).

Random weights (`drank.models.random_weights`), 8 blocks of 2048/5632 and a small vocabulary; compressed to each kept share with uniform
ranks in multiples of 64, in both storages. Each model has an engine in a process of its own, compiled, and all take turns as in the
throughput stage (`engine: vllm`), of which this is the instrument: medians of rounds.

Prints milliseconds, the speed-up over the dense model in the same round, and that as a share of what bytes allow: of the model in decoding,
of the compressed projections (where operations go as bytes do) in prefill. Beside other work no figure means much.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

from drank.evaluation.served.runner import Served
from drank.evaluation.served.workload import Workload
from drank.evaluation.throughput import take_turns
from drank.models.groups import Group, Shape
from drank.models.tensors import size_of


def say(line: str) -> None:
    """A line to whoever waits for it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def write(directory: Path, asked: argparse.Namespace, kept: float = 1.0, storage: str = "factors") -> None:
    """Write a model with random weights, dense where all of it is kept, into a folder."""
    import torch
    from transformers import LlamaConfig

    from drank.models.conversion import skeleton
    from drank.models.description import describe
    from drank.models.families import projections_of
    from drank.models.lowrank import sides_of
    from drank.models.random_weights import empty_model, write_random

    heads = asked.width // 64
    sizes = {"hidden_size": asked.width, "intermediate_size": asked.inner, "num_hidden_layers": asked.layers, "vocab_size": 4096}
    config = LlamaConfig(**sizes, num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=2048)
    model = empty_model(config, getattr(torch, asked.dtype))
    if kept < 1:
        groups = []
        for layer, place, module in projections_of(model):
            rows, columns = sides_of(module)
            shape = Shape(place.role, (layer,), rows, columns, storage)
            rank = shape.rank_within(int(kept * rows * columns)) // 64 * 64
            groups.append(Group(shape, float(rank), max(64, rank)))
        skeleton(model, groups)
        model.config.quantization_config = describe(groups)
    directory.mkdir()
    write_random(model, directory)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = {"width": 2048, "inner": 5632, "layers": 8, "prompt": 256, "generate": 32, "repeats": 7, "threads": 1}
    for option, default in sizes.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--kept", type=float, nargs="+", default=[0.8, 0.6, 0.4])
    parser.add_argument("--storages", nargs="+", default=["factors", "pivoted"])
    asked = parser.parse_args()
    compute = {"device": "cpu", "dtype": asked.dtype, "threads": asked.threads}
    sizes = {"batch": 1, "prompt": asked.prompt, "generate": asked.generate}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        forms = {"dense": (1.0, "factors")} | {f"{storage} {kept}": (kept, storage) for kept in asked.kept for storage in asked.storages}
        engines: dict[str, Served] = {}
        for name, (kept, storage) in forms.items():
            directory = Path(folder, name.replace(" ", "-"))
            write(directory, asked, kept, storage)
            engines[name] = stack.enter_context(closing(Served(name, Workload(directory, sizes, None, asked.dtype), compute)))
            say(f"{name}: ready, {size_of(directory).bytes / 1e9:.2f} GB")
        found = {name: timing.seconds for name, timing in take_turns(engines, asked.repeats).items()}
        for phase, tokens in (("decode", asked.generate), ("prefill", 1)):
            for name in forms:
                stored = size_of(Path(folder, name.replace(" ", "-")))
                dense = size_of(Path(folder, "dense"))
                bound = dense.bytes / stored.bytes if phase == "decode" else 1 / (1 - stored.ratio_stored)
                gain = statistics.median(there / own for own, there in zip(found[name][phase], found["dense"][phase], strict=True))
                took = 1e3 * statistics.median(found[name][phase]) / tokens
                say(f"{phase:7} {name:12} {took:8.1f} ms  {gain:5.2f} × dense, {gain / bound:.2f} of {bound:.2f}")


if __name__ == "__main__":
    main()
