"""drank.models.publishing: what users save and push has the documents of the model it came from, and only there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, PreTrainedModel
from transformers.modeling_utils import PreTrainedModel as Defined

import drank.models.publishing
from drank.models.card.markdown import section_in
from drank.models.card.writing import stated_hashes
from drank.models.documents import CARD, MAKING, PLAN
from drank.models.exports.dense import merge
from drank.models.hashes import weight_hashes
from drank.models.licence import split_front_matter
from drank.models.tensors import stored_tensors
from drank.models.verification import verify
from tests.unit.hub_server import COMMIT, hub
from tests.unit.small_compressed import compressed, dense

ROOT = Path(__file__).parents[3]


@pytest.fixture
def made(tmp_path):
    compressed(tmp_path / "made")
    return tmp_path / "made"


def names(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("way", ["loaded", "compressed"])
def test_what_a_user_saves_has_all_that_the_folder_had(way, made, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(made) if way == "loaded" else compressed(made)
    model.save_pretrained(tmp_path / "again", max_shard_size=1000)
    again = tmp_path / "again"
    assert names(made) - {"model.safetensors"} <= names(again)
    for name in (PLAN, MAKING, "tokenizer.json", "additional_chat_templates/tool_use.jinja"):
        assert (again / name).read_bytes() == (made / name).read_bytes()
    before, after = ((folder / CARD).read_text() for folder in (made, again))
    assert stated_hashes(after) == weight_hashes(again) != stated_hashes(before)
    assert len(stated_hashes(after).files) > 2
    assert section_in(after, "note") == ""
    assert after.partition("## Files")[0] == before.partition("## Files")[0]


def test_other_weights_are_told(made, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(made)
    with torch.no_grad():
        model.lm_head.weight[0, 0] += 1
    model.save_pretrained(tmp_path / "changed")
    note = section_in((tmp_path / "changed" / CARD).read_text(), "note")
    assert "These tensors are not those that this card describes" in note
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "changed")
    model.save_pretrained(tmp_path / "changed")
    text = (tmp_path / "changed" / CARD).read_text()
    assert section_in(text, "note") == note and text.count("Saved again") == 1, "saved in place: the note stays, once"


def test_what_people_wrote_into_a_card_stays(made, tmp_path):
    card = made / CARD
    card.write_text(card.read_text().replace("## Loading", "## Mine\n\nGood at poems.\n\n## Loading"))
    AutoModelForCausalLM.from_pretrained(made).save_pretrained(tmp_path / "again")
    assert "Good at poems." in (tmp_path / "again" / CARD).read_text()


def test_without_documents_the_card_says_what_the_weights_say(made, tmp_path):
    for name in (CARD, PLAN, MAKING):
        (made / name).unlink()
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / PLAN).write_text('{"model": "another", "ratio": 0.1}')
    AutoModelForCausalLM.from_pretrained(made).save_pretrained(tmp_path / "again")
    text = (tmp_path / "again" / CARD).read_text()
    assert "was not noted down" in text and "| down | 2 matrices, 1 dense | 4 |" in text
    assert not (tmp_path / "again" / PLAN).exists()


def test_a_model_whose_folder_is_gone_is_saved_all_the_same(made, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(made)
    shutil.rmtree(made)
    model.save_pretrained(tmp_path / "again")
    assert {CARD, "model.safetensors"} <= names(tmp_path / "again") and not (tmp_path / "again" / PLAN).exists()


def test_other_models_are_saved_as_ever(tmp_path):
    dense().save_pretrained(tmp_path / "dense")
    assert names(tmp_path / "dense") == {"config.json", "generation_config.json", "model.safetensors"}


def test_a_base_model_is_described_by_its_own_names(made, tmp_path):
    """Without the head, and in its files without the prefix of the whole model."""
    AutoModelForCausalLM.from_pretrained(made).model.save_pretrained(tmp_path / "base")
    assert "layers.1.mlp.down_proj.weight" in stored_tensors(tmp_path / "base")
    assert "verified: 1 weight file has the SHA-256 of the card; 6 tensors" in verify(tmp_path / "base")
    assert section_in((tmp_path / "base" / CARD).read_text(), "note"), "the head is gone"
    merge(tmp_path / "base", tmp_path / "plain")
    _, info = AutoModel.from_pretrained(tmp_path / "plain", output_loading_info=True)
    assert not info["missing_keys"] and not info["mismatched_keys"]


def test_a_state_that_is_not_the_whole_model_is_saved_without_a_card(made, tmp_path, caplog):
    model = AutoModelForCausalLM.from_pretrained(made)
    model.save_pretrained(tmp_path / "part", state_dict={"lm_head.weight": model.lm_head.weight})
    assert (tmp_path / "part" / "model.safetensors").is_file()
    (made / CARD).unlink()
    model.save_pretrained(tmp_path / "bare", state_dict={"lm_head.weight": model.lm_head.weight})
    assert not (tmp_path / "bare" / CARD).exists() and "gets no model card" in caplog.text


def test_adapters_on_a_compressed_model_are_saved_as_ever(made, tmp_path):
    import peft

    model = AutoModelForCausalLM.from_pretrained(made)
    model.add_adapter(peft.LoraConfig(r=1, target_modules=["basis", "coefficients"]))
    model.save_pretrained(tmp_path / "adapter")
    assert names(tmp_path / "adapter") == {"adapter_config.json", "adapter_model.safetensors", "generation_config.json"}


def test_both_methods_are_wrapped_once():
    before = Defined.save_pretrained, Defined.push_to_hub
    drank.models.publishing.install()
    assert (Defined.save_pretrained, Defined.push_to_hub) == before
    assert PreTrainedModel.save_pretrained.__doc__ and PreTrainedModel.save_pretrained.__wrapped__


PUSH = """
{order}
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
{call}
"""


@pytest.mark.parametrize(
    ("order", "call", "revision"),
    [
        ("import sys, drank", "print(model.push_to_hub('me/small', private=True, tags=['mine'], commit_message='Hello').oid)", "main"),
        ("import sys, transformers, drank", "model.push_to_hub('me/small', revision='second', tags='mine')", "second"),
        ("import sys, drank", "model.save_pretrained(sys.argv[2], push_to_hub=True, repo_id='me/small', tags=['mine'])", "main"),
        ("import sys, drank", "model.save_pretrained(sys.argv[1], push_to_hub=True, repo_id='me/small', tags=['mine'])", "main"),
    ],
)
def test_a_push_carries_everything_of_the_model_and_nothing_else(order, call, revision, made, tmp_path):
    whole = names(made)
    (tmp_path / "saved").mkdir()
    for folder in (made, tmp_path / "saved"):
        (folder / "secret.txt").write_text("what somebody else left there")
    with hub() as server:
        network = {"HF_ENDPOINT": server.url, "HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_of_nobody", "HF_HOME": str(tmp_path / "home")}
        code = PUSH.format(order=order, call=call)
        done = subprocess.run(
            [sys.executable, "-c", code, str(made), str(tmp_path / "saved")],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=os.environ | network,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    files = {name.removeprefix(f"me/small@{revision}/"): content for name, content in server.files.items()}
    assert set(files) == whole, "README, plan, making, configuration, weights and tokenizer"
    for name in whole - {CARD}:
        assert files[name] == (made / name).read_bytes(), name
    assert 'from_pretrained("me/small")' in files[CARD].decode()
    metadata, body = split_front_matter(files[CARD].decode())
    assert {"drank", "d-rank", "mine"} <= set(metadata["tags"]) and metadata["base_model"] == "org/base"
    assert "## Files" in body and json.loads(files[MAKING])["label"] == "d-rank"
    if "print" in call:
        assert (done.stdout.strip(), server.messages) == (COMMIT, ["Hello"])
