"""Where calibration spends its time, and how much memory it needs: `python -m benchmarks.calibration [--threads N] [--large]`.

Prints the seconds spent in the model's own forward products, in moments and in reading and writing, for an embedded model and for one
block of LLaMA-7B's shape. With `--large`, calibrates instead a Llama of random weights that is larger than half of this machine's
memory, written shard by shard to a temporary folder, and prints the highest memory the process had.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from drank.calibration import streams, sums
from drank.calibration.moments import calibrate
from drank.models.residency import open_skeleton
from drank.testbed import MODELS

LLAMA_7B: dict[str, Any] = {"hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32, "vocab_size": 32000}
GIB = 2**30


@contextmanager
def stopwatches(**functions: tuple[Any, str]) -> Iterator[dict[str, float]]:
    """Seconds spent in functions, each named by its owner and its attribute there, while the context lasts."""
    spent: dict[str, float] = defaultdict(float)
    originals = {name: getattr(owner, attribute) for name, (owner, attribute) in functions.items()}

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent[name] += time.perf_counter() - started

        return call

    for name, (owner, attribute) in functions.items():
        setattr(owner, attribute, timed(name, originals[name]))
    try:
        yield spent
    finally:
        for name, (owner, attribute) in functions.items():
            setattr(owner, attribute, originals[name])


def shares(what: str, model: Any, windows: torch.Tensor, batch: int) -> None:
    """Calibrate and print where the time went."""
    watched = {
        "block": (streams, "apply"),
        "add": (sums.Sums, "add"),
        "mirror": (sums.Sums, "gram"),
        "write": (safetensors.torch, "save_file"),
        "read": (safetensors.torch, "load_file"),
    }
    with tempfile.TemporaryDirectory() as folder, stopwatches(**watched) as spent:
        started = time.perf_counter()
        calibrate(model, windows, Path(folder) / "moments", {}, batch)
        total = time.perf_counter() - started
    parts = {
        "forward": spent["block"] - spent["add"],
        "moments": spent["add"] + spent["mirror"],
        "reading and writing": spent["write"] + spent["read"],
    }
    parts["rest"] = total - sum(parts.values())
    say(
        f"{what}, {windows.numel()} tokens, {total:.1f} s: " + ", ".join(f"{part} {seconds / total:.0%}" for part, seconds in parts.items())
    )


def embedded() -> None:
    """The embedded model with multi-head attention, as the default pipeline calibrates it."""
    model = open_skeleton(MODELS / "docs-mha", "float32")
    windows = ids(model.config.vocab_size, 128, 256)
    with tempfile.TemporaryDirectory() as folder:
        calibrate(model, windows[:8], Path(folder) / "warm-up", {})
    shares("docs-mha", model, windows, 8)


def one_block(dtype: torch.dtype) -> None:
    """One block of LLaMA-7B's shape."""
    config = AutoConfig.for_model("llama", num_hidden_layers=1, max_position_embeddings=2048, **LLAMA_7B | {"vocab_size": 1000})
    model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    shares(f"one LLaMA-7B block in {dtype}", model, ids(1000, 4, 2048), 1)


def large() -> None:
    """A model larger than half of the memory, in bfloat16, read block by block."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with tempfile.TemporaryDirectory(prefix="drank-large-") as folder:
        directory = Path(folder) / "model"
        size = write_llama(directory, memory // 2)
        say(f"memory {memory / GIB:.1f} GiB; the model has {size / GIB:.1f} GiB; writing it took {peak():.1f} GiB at the most")
        started = time.perf_counter()
        model = open_skeleton(directory)
        calibrate(model, ids(model.config.vocab_size, 4, 64), Path(folder) / "moments", {}, 4)
        say(f"calibrated {model.config.num_hidden_layers} blocks in {time.perf_counter() - started:.0f} s; highest memory {peak():.1f} GiB")


def write_llama(directory: Path, least: int) -> int:
    """The bytes of a random Llama of LLaMA-7B's shape in bfloat16, written block by block, with blocks enough to exceed `least`."""
    generator = torch.Generator().manual_seed(0)
    d, hidden, vocabulary = (LLAMA_7B[key] for key in ("hidden_size", "intermediate_size", "vocab_size"))
    sides = {f"self_attn.{name}_proj": (d, d) for name in "qkvo"}
    sides |= {"mlp.gate_proj": (hidden, d), "mlp.up_proj": (hidden, d), "mlp.down_proj": (d, hidden)}
    shards: list[dict[str, tuple[int, ...]]] = [{"model.embed_tokens": (vocabulary, d), "model.norm": (d,), "lm_head": (vocabulary, d)}]
    index: dict[str, str] = {}
    total = layers = 0
    directory.mkdir()
    while total <= least:
        if layers < len(shards) - 1 or total:
            prefix = f"model.layers.{layers}."
            shards.append({prefix + name: shape for name, shape in sides.items()})
            shards[-1] |= {prefix + "input_layernorm": (d,), prefix + "post_attention_layernorm": (d,)}
            layers += 1
        file = f"model-{layers:05d}.safetensors"
        tensors = {
            f"{name}.weight": torch.ones(shape, dtype=torch.bfloat16)
            if len(shape) == 1
            else torch.empty(shape, dtype=torch.bfloat16).normal_(0, 0.02, generator=generator)
            for name, shape in shards[-1].items()
        }
        safetensors.torch.save_file(tensors, directory / file, metadata={"format": "pt"})
        index |= dict.fromkeys(tensors, file)
        total += sum(tensor.nbytes for tensor in tensors.values())
    (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": index}))
    config = AutoConfig.for_model("llama", num_hidden_layers=layers, architectures=["LlamaForCausalLM"], dtype="bfloat16", **LLAMA_7B)
    config.save_pretrained(directory)
    return total


def ids(vocabulary: int, count: int, length: int) -> torch.Tensor:
    """Random windows of token ids."""
    return torch.randint(0, vocabulary, (count, length), generator=torch.Generator().manual_seed(0))


def peak() -> float:
    """The highest resident memory of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--large", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.large:
        large()
        return
    embedded()
    one_block(torch.float32)
    one_block(torch.bfloat16)


if __name__ == "__main__":
    main()
