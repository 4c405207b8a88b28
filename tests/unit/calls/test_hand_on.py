"""What is made is handed on: shown, measured into its card, and exported."""

import pytest
import torch
import yaml

import drank
from drank.models.checkpoint import load_model
from drank.models.description import CheckpointError

TEXT = "the rank of a matrix is what its rows span\n" * 200


@pytest.fixture(scope="module")
def smaller(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "smaller"
    drank.compress("docs-mha", "svd", 0.3, out=out)
    return out


def test_what_was_measured_stands_in_the_card_and_in_what_is_shown(smaller):
    assert "not measured" in (smaller / "README.md").read_text().lower()
    drank.evaluate(smaller, TEXT, length=64, windows=4, card=False)
    assert "not measured" in (smaller / "README.md").read_text().lower()
    found = drank.evaluate(smaller, TEXT, length=64, windows=4)
    value = next(row.value for row in found["perplexity"].results if row.metric == "perplexity")
    front = yaml.safe_load((smaller / "README.md").read_text().split("---")[1])
    stated = [metric["value"] for result in front["model-index"][0]["results"] for metric in result["metrics"]]
    assert value in stated
    assert f"{value:.4g}" in str(drank.show(smaller))
    assert "verified: 1 weight file" in str(drank.show(smaller))
    drank.evaluate(smaller, ["other words\n" * 300], length=64, windows=4)
    front = yaml.safe_load((smaller / "README.md").read_text().split("---")[1])
    named = [result["dataset"]["name"] for result in front["model-index"][0]["results"]]
    assert named == ["text-1"], "the same name is measured again"
    (smaller.parent / "more.txt").write_text(TEXT)
    drank.evaluate(smaller, smaller.parent / "more.txt", length=64, windows=4)
    card = (smaller / "README.md").read_text()
    assert "| text-1 | perplexity |" in card and "| more | perplexity |" in card


def test_an_export_is_the_same_function_without_drank(smaller, tmp_path):
    plain = drank.export(smaller, tmp_path / "plain", to="dense")
    ids = torch.arange(40)[None]
    with torch.inference_mode():
        assert torch.allclose(load_model(plain)(ids).logits, load_model(smaller)(ids).logits, atol=1e-4)
    assert "drank" not in (plain / "config.json").read_text()
    assert drank.show(plain).kind == "dense"
    with pytest.raises(FileExistsError, match="holds a model that drank made"):
        drank.export(smaller, plain)
    with pytest.raises(FileExistsError, match="the very model that is read"):
        drank.export(smaller, smaller, overwrite=True)
    with pytest.raises(ValueError, match="there is no form 'tar'; known: dense"):
        drank.export(smaller, tmp_path / "x", to="tar")


def test_the_size_of_shards_is_read_before_the_work(smaller, tmp_path):
    for number, size in enumerate(("500000", 500000, 5e5, "500KB")):
        out = drank.export(smaller, tmp_path / f"plain-{number}", max_shard_size=size)
        assert (out / "model.safetensors.index.json").is_file(), size
    for size in ("1.5GB", 0.5, "5gb", "five", -1, float("inf"), True):
        with pytest.raises(ValueError, match="is no size; write whole numbers, as 5GB"):
            drank.export(smaller, tmp_path / "none", max_shard_size=size)
    assert not (tmp_path / "none").exists()


def test_a_changed_file_is_found(smaller, tmp_path):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(smaller, broken)
    data = bytearray((broken / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (broken / "model.safetensors").write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        drank.show(broken)
    assert drank.show(broken, verify=False).kind == "compressed"


def test_numbers_come_back_where_the_card_cannot_be_written(smaller, monkeypatch, caplog):
    def refused(directory, records, keep):
        raise PermissionError(13, "Permission denied", str(directory))

    monkeypatch.setattr("drank.calls.evaluate.update_card", refused)
    assert drank.evaluate(smaller, TEXT, length=64, windows=4)["perplexity"].results
    assert "the numbers are not in the card" in caplog.text
