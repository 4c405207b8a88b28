"""Run as a program: loads compressed checkpoints as a causal model, a base model and a classifier, and stores what they compute.

The first of them also by other programs, which must compute the same.
Arguments: a safetensors file with `tokens`, the file to write, and the directories. Prints the version of transformers.
"""

import sys
from pathlib import Path

import torch
import transformers
from lm_eval.models.huggingface import HFLM
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification, pipeline

import drank  # noqa: F401 - lets transformers read the checkpoints

tokens = load_file(sys.argv[1])["tokens"]
results = {}
for directory in sys.argv[3:]:
    name = Path(directory).name
    options = {"attn_implementation": "eager"} if name == "gemma2" else {}  # by default, 5.8 leaves out Gemma 2's cap on attention
    for kind in (AutoModelForCausalLM, AutoModel, AutoModelForSequenceClassification):
        if name == "granite" and kind is AutoModelForSequenceClassification:  # transformers has no such class of it
            continue
        model = kind.from_pretrained(directory, **options)
        assert "transformers_weights" not in vars(model.config)
        with torch.no_grad():
            output = model(tokens, use_cache=False, output_hidden_states=True)
        results[f"{name} {kind.__name__}"] = output.hidden_states[-1].clone()
        if kind is AutoModelForCausalLM:
            results[f"{name} logits"] = output.logits
for other in (
    pipeline("text-generation", model=sys.argv[3]).model,
    HFLM(pretrained=sys.argv[3], device="cpu").model,
    AutoModelForCausalLM.from_pretrained(sys.argv[3], device_map="auto", ignore_mismatched_sizes=True),
    AutoModelForCausalLM.from_pretrained(sys.argv[3], config=AutoConfig.from_pretrained(sys.argv[3])),
):
    with torch.no_grad():
        assert torch.equal(other(tokens, use_cache=False).logits, results[f"{Path(sys.argv[3]).name} logits"])
save_file(results, sys.argv[2])
print(transformers.__version__)  # noqa: T201
