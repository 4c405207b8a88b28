"""Code that lies beside a model is not run: a class of transformers is all that drank loads."""

from drank.models.checkpoint import load_model
from drank.models.soundness import unsound
from drank.runtime.files import read_json, write_json
from tests.workflow.runs import write_model


def test_code_beside_a_model_is_not_run(tmp_path):
    write_model(tmp_path / "m")
    (tmp_path / "m/other.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Model: ...\n")
    config = read_json(tmp_path / "m/config.json") | {"auto_map": {"AutoModelForCausalLM": "other.Model", "AutoConfig": "other.Model"}}
    write_json(tmp_path / "m/config.json", config)
    assert not list(unsound(tmp_path / "m"))
    assert type(load_model(tmp_path / "m")).__name__ == "LlamaForCausalLM"
    assert not (tmp_path / "ran").exists()
