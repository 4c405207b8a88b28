"""Run as a program where drank cannot be imported: loads exported models by their own code, and says what came of it.

Takes a safetensors file of `tokens`, a folder to save into, a file for the results and the directories. Of each the results have the
logits, those after saving and loading again, hidden states of the base model loaded alone and inside, and a greedy generation with the
cache and without. Prints, as one JSON object, the version of transformers and of each directory the errors of loads without trust.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

sys.modules["drank"] = None  # `import drank` fails, installed or not
transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()
LAX = {"ignore_mismatched_sizes": True}


def load(directory, cls=AutoModelForCausalLM):
    """The model and what transformers says of its tensors; nothing may be amiss."""
    options = (
        {"attn_implementation": "eager"} if directory.name == "gemma2" else {}
    )  # by default, 5.8 leaves out Gemma 2's cap on attention
    model, info = cls.from_pretrained(directory, trust_remote_code=True, output_loading_info=True, **options)
    assert not info["missing_keys"] and not info["mismatched_keys"], (directory, info)
    return model.eval()


def error_of(directory, cls=AutoModelForCausalLM, **options):
    """The message with which a load without trust ends, None where it does not."""
    try:
        cls.from_pretrained(directory, **options)
    except (OSError, RuntimeError, ValueError) as error:
        return str(error)
    return None


def results_of(directory, saved, tokens):
    model = load(directory)
    model.save_pretrained(saved, max_shard_size=9000)
    prompt, options = tokens[:1, :6], {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 0}
    return {
        "logits": model(tokens, use_cache=False).logits,
        "again": load(saved)(tokens, use_cache=False).logits,
        "base": load(directory, AutoModel)(tokens, use_cache=False)[0],
        "hidden": model.base_model(tokens, use_cache=False)[0],
        "cached": model.generate(prompt, use_cache=True, **options),
        "uncached": model.generate(prompt, use_cache=False, **options),
    }


def refusals(directory):
    """What loads without trust say: by the configuration as it is, then by one without the seal."""
    config = AutoConfig.from_pretrained(directory)
    stock = getattr(transformers, config.architectures[0].removeprefix("Drank"))
    sealed = [error_of(directory, cls, **LAX) for cls in (AutoModelForCausalLM, AutoModel, stock)]
    del config.transformers_weights
    return {"sealed": sealed, "guarded": error_of(directory, config=config, trust_remote_code=False)}


def main(given, folder, written, *directories):
    tokens, results, said = load_file(given)["tokens"], {}, {"version": transformers.__version__}
    with torch.no_grad():
        for directory in map(Path, directories):
            found = results_of(directory, Path(folder, directory.name), tokens)
            results |= {f"{directory.name}.{name}": value.contiguous() for name, value in found.items()}
            said[directory.name] = refusals(directory)
            said[f"{directory.name}, saved"] = refusals(Path(folder, directory.name))
    save_file(results, written)
    print(json.dumps(said))  # noqa: T201


main(*sys.argv[1:])
