"""How steps of tests measure: a tiny model in short windows, on the CPU."""

from drank.methods import METHODS
from drank.models.sources import describe_source
from drank.runtime.files import write_json

NAMES = {"model": "tiny", "method": "dense", "ratio": "0"}


def how(windows=None, limit=None):
    """What a measurement is told beside the model and what it reads."""
    return {
        "names": NAMES,
        "perplexity": {"length": 32, "windows": windows, "batch": 2, "continuations": {"prompts": 3, "prompt": 8, "tokens": 12}},
        "zeroshot": {"batch": 4, "limit": limit},
        "dense": METHODS["dense"].settings(),
        "compute": {"device": "cpu", "dtype": "float32"},
        "threads": 1,
    }


def described(folder, name="source", model="model"):
    """Write the source file of a model, as the step before an evaluation does."""
    write_json(folder / f"{name}.json", describe_source({"path": str(folder / model)}, name))
