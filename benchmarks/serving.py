"""Time vLLM on models of LLaMA's shape: `.vllm/bin/python -m benchmarks.serving` (`make test-vllm` makes that environment).

Random weights (`drank.models.random_weights`), 8 blocks of 2048/5632 and a small vocabulary; compressed to each kept share with uniform
ranks in multiples of 64, in both storages. Each model has an engine in a process of its own, compiled unless `--eager`, and all take
turns: medians of rounds. A prompt of `--prompt` tokens and one new token is the prefill, `--generate` more behind 16 tokens the decoding.

Prints milliseconds, the speed-up over the dense model in the same round, and that as a share of what bytes allow: of the model in decoding,
of the compressed projections (where operations go as bytes do) in prefill. Beside other work no figure means much.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.models.groups import Group, Shape
from drank.models.tensors import size_of

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
"""One process for each engine, and no more words than needed."""

SHORT = 16
"""Tokens of the prompt behind which decoding is timed."""


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


def engine(connection: Connection, directory: str, asked: argparse.Namespace) -> None:
    """Load a model, then say for each (prompt, tokens) that comes the seconds it took, until None comes."""
    os.environ |= {**ENVIRONMENT, "OMP_NUM_THREADS": str(asked.threads)}
    import torch
    from vllm import LLM, SamplingParams

    from drank.models.serving.plugin import register

    torch.set_num_threads(asked.threads)
    register()
    options: dict[str, Any] = {
        "dtype": asked.dtype,
        "enforce_eager": asked.eager,
        "skip_tokenizer_init": True,
        "enable_prefix_caching": False,
    }
    model = LLM(model=directory, max_model_len=2048, max_num_seqs=4, disable_log_stats=True, **options)
    connection.send("ready")
    while (request := connection.recv()) is not None:
        length, new = request
        parameters = SamplingParams(max_tokens=new, temperature=0, ignore_eos=True, detokenize=False)
        begun = time.perf_counter()
        model.generate([{"prompt_token_ids": [1 + place % 4000 for place in range(length)]}], parameters, use_tqdm=False)
        connection.send(time.perf_counter() - begun)


def timed(engines: dict[str, Connection], asked: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """By model and phase the seconds of each round, in which all models take turns; the first round warms up."""
    found: dict[str, dict[str, list[float]]] = {name: {"prefill": [], "decode": []} for name in engines}

    def ask(connection: Connection, length: int, new: int) -> float:
        connection.send((length, new))
        took: float = connection.recv()
        return took

    for number in range(asked.repeats + 1):
        for name, connection in engines.items():
            prefill = ask(connection, asked.prompt, 1)
            decode = ask(connection, SHORT, asked.generate + 1) - ask(connection, SHORT, 1)
            if number:
                found[name]["prefill"].append(prefill)
                found[name]["decode"].append(decode / asked.generate)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = {"width": 2048, "inner": 5632, "layers": 8, "prompt": 256, "generate": 32, "repeats": 7, "threads": 1}
    for option, default in sizes.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--kept", type=float, nargs="+", default=[0.8, 0.6, 0.4])
    parser.add_argument("--storages", nargs="+", default=["factors", "pivoted"])
    parser.add_argument("--eager", action="store_true")
    asked = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        forms = {"dense": (1.0, "factors")} | {f"{storage} {kept}": (kept, storage) for kept in asked.kept for storage in asked.storages}
        engines: dict[str, Connection] = {}
        for name, (kept, storage) in forms.items():
            directory = Path(folder, name.replace(" ", "-"))
            write(directory, asked, kept, storage)
            engines[name], other = context.Pipe()
            context.Process(target=engine, args=(other, str(directory), asked), daemon=True).start()
            engines[name].recv()
            say(f"{name}: ready, {size_of(directory).bytes / 1e9:.2f} GB")
        found = timed(engines, asked)
        for connection in engines.values():
            connection.send(None)
        for phase in ("decode", "prefill"):
            for name in forms:
                stored = size_of(Path(folder, name.replace(" ", "-")))
                dense = size_of(Path(folder, "dense"))
                bound = dense.bytes / stored.bytes if phase == "decode" else 1 / (1 - stored.ratio_stored)
                gain = statistics.median(there / own for own, there in zip(found[name][phase], found["dense"][phase], strict=True))
                took = 1e3 * statistics.median(found[name][phase])
                say(f"{phase:7} {name:12} {took:8.1f} ms  {gain:5.2f} × dense, {gain / bound:.2f} of {bound:.2f}")


if __name__ == "__main__":
    main()
