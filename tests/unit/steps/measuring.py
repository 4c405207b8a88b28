"""How steps of tests measure: a tiny model in short windows, on the CPU."""

from drank.corpora import write
from drank.corpora.documents import Document
from drank.corpora.windows import tokenize, write_tokens
from drank.methods import METHODS
from drank.models.checkpoint import load_tokenizer
from drank.models.sources import describe_source
from drank.runtime.files import read_json, write_json
from drank.steps import evaluate
from tests.workflow.runs import write_inputs

KINDS = ("perplexity", "zeroshot")
CODE = {"perplexity": "p", "continuations": "c", "zeroshot": "z"}
TEXTS, TASKS = {"words": 1500, "more": 900}, {"words": {}, "shots": {"fewshot": 2}}
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


def write_folder(folder):
    """Write the inputs of a run, a source file and the tokens of two texts, and give the folder."""
    write_inputs(folder)
    described(folder)
    for name, length in TEXTS.items():
        document = Document("test", "test.txt", (folder / "test.txt").read_text()[-length:])
        write(folder / f"{name}.parquet", {"files": {"test": "test.txt"}}, [document])
        read = tokenize(load_tokenizer(folder / "model"), folder / f"{name}.parquet", name, "test")
        write_tokens(folder / f"{name}.safetensors", read)
    return folder


def evaluated(folder, place, texts=("words",), tasks=("words",), windows=None, limit=None, outputs=None, **options):
    """The records of the texts and tasks by kind, as they stand in a place; none where `outputs` says where else things are written."""
    paths = {kind: place / f"{kind}.json" for kind, names in zip(KINDS, (texts, tasks), strict=True) if names}
    specs = {name: {"yaml": str(folder / "task.yaml"), **TASKS[name]} for name in tasks}
    what = how(windows, limit) | {
        "model": str(folder / "source.json"),
        "places": {"source": {"path": str(folder / "model")}, "dense": {"path": str(place / "dense")}},
        "tokens": [str(folder / f"{name}.safetensors") for name in texts],
        "tasks": options.pop("specs", specs),
        "data": options.pop("data", [str(folder / "task.jsonl")]),
        "measured_by": options.pop("code", CODE),
    }
    evaluate.run(outputs or paths, **what | options)
    return {kind: read_json(path) for kind, path in paths.items()} if outputs is None else {}
