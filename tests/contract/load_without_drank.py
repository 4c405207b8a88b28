"""Run as a program on the directory of a compressed Llama: tries all the ways of loading it where drank is not installed.

Prints one JSON object, by the name of each way the message of its error, or null where it loaded.
"""

import json
import sys
import tempfile

import accelerate
import peft
import transformers
from lm_eval.models.huggingface import HFLM
from safetensors.torch import load_file, load_model
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification, LlamaForCausalLM, pipeline

sys.modules["drank"] = None  # `import drank` fails, installed or not
directory = sys.argv[1]
weights = f"{directory}/model.safetensors"
transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()


def dense_config():
    """That of the model which was compressed."""
    config = AutoConfig.from_pretrained(directory)
    del config.quantization_config, config.transformers_weights
    return config


def dense():
    return LlamaForCausalLM(dense_config())


def meta():
    with accelerate.init_empty_weights():
        return dense()


def adapter():
    """A folder with LoRA for a dense base, which names the compressed one."""
    folder = tempfile.mkdtemp()
    adapted = peft.get_peft_model(dense(), peft.LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM"))
    adapted.peft_config["default"].base_model_name_or_path = directory
    adapted.save_pretrained(folder)
    return folder


LAX = {"ignore_mismatched_sizes": True}
OPTIONS = {
    "": {},
    "lax": LAX,
    "remote code": {"trust_remote_code": True},
    "device map": {"device_map": "auto"} | LAX,
    "everything": LAX | {"trust_remote_code": True, "dtype": "auto", "use_safetensors": True},
}
WAYS = {
    f"{model.__name__} {name}".strip(): lambda model=model, options=options: model.from_pretrained(directory, **options)
    for model in (AutoModelForCausalLM, AutoModel, AutoModelForSequenceClassification, LlamaForCausalLM)
    for name, options in OPTIONS.items()
} | {
    "own config": lambda: AutoModelForCausalLM.from_pretrained(directory, config=AutoConfig.from_pretrained(directory), **LAX),
    "pipeline": lambda: pipeline("text-generation", model=directory),
    "pipeline lax": lambda: pipeline("text-generation", model=directory, model_kwargs=LAX),
    "AutoPeftModelForCausalLM": lambda: peft.AutoPeftModelForCausalLM.from_pretrained(adapter(), **LAX),
    "adapter": lambda: AutoModelForCausalLM.from_pretrained(adapter(), **LAX),
    "dense config": lambda: AutoModelForCausalLM.from_pretrained(directory, config=dense_config()),
    "lm_eval": lambda: HFLM(pretrained=directory, device="cpu"),
    "accelerate": lambda: accelerate.load_checkpoint_and_dispatch(meta(), directory, device_map="auto"),
    "accelerate strict": lambda: accelerate.load_checkpoint_and_dispatch(meta(), directory, device_map={"": "cpu"}, strict=True),
    "accelerate without map": lambda: accelerate.load_checkpoint_and_dispatch(dense(), directory),
    "safetensors": lambda: load_model(dense(), weights),
    "safetensors lax": lambda: load_model(dense(), weights, strict=False),
    "state dict": lambda: dense().load_state_dict(load_file(weights)),
    "state dict lax": lambda: dense().load_state_dict(load_file(weights), strict=False),
    "state dict assigned": lambda: dense().load_state_dict(load_file(weights), strict=False, assign=True),
}


def outcome(load):
    try:
        load()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the user reads
        return f"{type(error).__name__}: {error}"
    return None


print(json.dumps({"version": transformers.__version__} | {name: outcome(load) for name, load in WAYS.items()}))  # noqa: T201
