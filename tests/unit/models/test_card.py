"""The card of a compressed model: valid for the hub, true to the files beside it, and brought up to date without losing anything."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results

from drank.models.card.markdown import changed_front_matter, replaced, section, section_in, table
from drank.models.card.numbers import split
from drank.models.card.updating import update_card
from drank.models.card.writing import card_of, stated_hashes
from drank.models.documents import CARD, MAKING, PLAN
from drank.models.hashes import StoredFile, weight_hashes
from drank.models.licence import split_front_matter
from drank.runtime.files import file_hash, read_json
from tests.unit.records_fixture import KINDS, perplexity_record
from tests.unit.small_compressed import FOLDER, HUB, compressed


@pytest.fixture
def made(tmp_path):
    compressed(tmp_path / "made", max_shard_size=1500)
    return tmp_path / "made"


def records_of(directory):
    """Records of a compressed model, and of the dense one beside it."""
    how = {key: value for key, value in read_json(directory / MAKING).items() if key not in ("method", "packages")}
    own = [record("tiny", "d-rank", 0.4) for record in KINDS.values()]
    own = [replace(record, provenance=record.provenance | {"making": how}) for record in own]
    return [record.to_dict() for record in (*own, *(record("tiny", "dense", 0.0) for record in KINDS.values()))]


def test_the_front_matter_is_what_the_hub_reads(made):
    update_card(made, records_of(made))
    card = ModelCard.load(made / CARD)
    data = card.data
    assert (data.license, data.base_model, data.library_name) == ("llama3.1", "org/base", "transformers")
    assert (data.pipeline_tag, data.to_dict()["base_model_relation"]) == ("text-generation", "quantized")
    assert data.tags == ["drank", "svd", "low-rank", "d-rank", "arxiv:2509.25622"]
    found = {(one.dataset_name, one.metric_type): one.metric_value for one in data.eval_results}
    wanted = {
        (row["dataset"], row["metric"]): row["value"]
        for record in records_of(made)[:2]
        for row in record["results"]
        if row["metric"] in ("perplexity", "accuracy")
    }
    assert found == wanted and len(found) > 4
    name, _ = model_index_to_eval_results(split_front_matter((made / CARD).read_text())[0]["model-index"])
    assert name == "tiny-d-rank-0.4"


def test_kl_and_agreement_stand_beside_perplexity(made):
    record = records_of(made)[0]
    row = {"dataset": "words", "value": 0.1164, "ci_low": 0.105, "ci_high": 0.1281, "count": 8160}
    record["results"] += [{**row, "metric": "kl_to_dense"}, {**row, "metric": "top1_agreement", "value": 0.8346}]
    update_card(made, [record])
    told = section_in((made / CARD).read_text(), "numbers")
    assert "| words | KL to the dense model, nats per token | 0.116 (0.105 – 0.128) | 8,160 tokens |" in told
    assert "| words | agreement with the dense model | 83.5 % (10.5 – 12.8) | 8,160 tokens |" in told
    assert "to_dense" not in told


def test_a_group_of_tasks_speaks_for_those_inside_it(made):
    record = records_of(made)[1]
    record["results"] = [{**record["results"][0], "dataset": name} for name in ("mmlu", "mmlu/mmlu_stem", "mmlu/anatomy")]
    update_card(made, [record])
    text = (made / CARD).read_text()
    assert "| mmlu | accuracy |" in section_in(text, "numbers") and "mmlu/" not in text
    assert [one.dataset_name for one in ModelCard.load(made / CARD).data.eval_results] == ["mmlu"]


def test_a_model_without_numbers_has_no_index(made):
    assert "model-index" not in split_front_matter((made / CARD).read_text())[0]
    assert "Not measured yet" in section_in((made / CARD).read_text(), "numbers")


def test_the_hashes_are_those_of_the_files(made):
    stated = stated_hashes((made / CARD).read_text())
    assert stated == weight_hashes(made)
    assert len(stated.files) > 1
    for name, file in stated.files.items():
        assert file == StoredFile(file_hash(made / name), (made / name).stat().st_size)


def test_everything_that_was_noted_down_is_told(made):
    text, making = (made / CARD).read_text(), read_json(made / MAKING)
    assert "# base compressed by D-Rank at ratio 0.4" in text
    assert "[org/base](https://huggingface.co/org/base), revision `" + "a" * 40 in text and f"`{'b' * 64}`" in text
    for name, value in making["method"].items():
        assert name in ("title", "paper", "control", "compresses", "budgeted") or f"| `{name}` |" in text, value
    assert "| calibration | wiki, train | 4 × 16 tokens | 13 | batch 2 |" in text
    assert "| search | wiki, validation |" in text and "| refit | wiki, train |" in text
    assert "| down | 2 matrices, 1 dense | 4 | 4 | 4 | 8 |" in text and "| q | 1 basis for up to 2 layers each | 3 |" in text
    assert "factors " in text and "refit " in text and making["machine"]["cpu"] in text
    assert "arXiv:2509.25622](https://arxiv.org/abs/2509.25622)" in text and "licence `llama3.1`" in text
    assert "pip install ./drank" in text and 'target_modules=["basis", "coefficients"]' in text


def test_a_local_base_is_told_by_name_and_hashes_alone(tmp_path):
    compressed(tmp_path / "made", base=FOLDER)
    metadata, _ = split_front_matter((tmp_path / "made" / CARD).read_text())
    assert metadata["license"] == "unknown" and not {"base_model", "base_model_relation"} & metadata.keys()
    for name in (CARD, MAKING, PLAN):
        text = (tmp_path / "made" / name).read_text()
        assert "/home/somebody" not in text and str(tmp_path) not in text, name
    assert "`tiny`, a local folder" in (tmp_path / "made" / CARD).read_text()


def test_a_licence_without_identifier_has_a_name(tmp_path):
    compressed(tmp_path / "made", base=HUB | {"licence": "other: gemma-terms"})
    data = ModelCard.load(tmp_path / "made" / CARD).data
    assert (data.license, data.license_name) == ("other", "gemma-terms")


def test_numbers_come_into_the_card_with_intervals_and_the_dense_ones_beside(made):
    before = (made / CARD).read_text()
    text = update_card(made, records_of(made))
    assert text == (made / CARD).read_text()
    perplexity, _, throughput = (record["results"][0] for record in records_of(made)[:3])
    dense = perplexity_record("tiny", "dense", 0.0).results[0]
    row = next(line for line in text.splitlines() if line.startswith(f"| {dense.dataset} | perplexity |"))
    assert f"| {perplexity['value']:.2f} ({perplexity['ci_low']:.2f} – {perplexity['ci_high']:.2f}) |" in row
    assert f"| {dense.value:.2f} ({dense.ci_low:.2f}" in row and f"{dense.count:,} tokens" in row
    assert f"| {throughput['dataset']} | tokens per second |" in text and "Test CPU" in text
    outside = section_in(text, "numbers")
    assert split_front_matter(text)[1].replace(outside, "") == split_front_matter(before)[1].replace(section_in(before, "numbers"), "")


def test_what_people_wrote_stays_and_numbers_are_replaced(made):
    card = made / CARD
    card.write_text(changed_front_matter(card.read_text(), language="en") + "\n## Mine\n\nIt likes poems.\n")
    update_card(made, records_of(made))
    once = card.read_text()
    assert "It likes poems." in once and split_front_matter(once)[0]["language"] == "en"
    assert update_card(made, records_of(made)) == once


def test_records_of_another_model_are_no_numbers_of_this_one(made):
    others = [perplexity_record("tiny", "d-rank", 0.4).to_dict(), perplexity_record("tiny", "dense", 0.0).to_dict()]
    with pytest.raises(ValueError, match=r"none of the 2 records is of the model in .*made.*measure this model"):
        update_card(made, others)
    text = update_card(made, [*others, *records_of(made)])
    assert text == update_card(made, records_of(made))


def test_updating_hashes_no_weights(made, monkeypatch):
    monkeypatch.setattr("drank.models.card.writing.weight_hashes", lambda _: pytest.fail("hashed again"))
    update_card(made, records_of(made))


def test_a_folder_without_a_card_gets_one(made):
    (made / CARD).unlink()
    update_card(made, records_of(made))
    assert stated_hashes((made / CARD).read_text()) == weight_hashes(made)
    assert card_of(made, read_json(made / MAKING), records_of(made)) == (made / CARD).read_text()


def test_the_hash_of_all_tensors_does_not_depend_on_the_shards(made, tmp_path):
    compressed(tmp_path / "whole")
    whole, shards = weight_hashes(tmp_path / "whole"), weight_hashes(made)
    assert whole.tensors == shards.tensors and whole.files != shards.files


def test_sections_are_found_and_others_left_alone():
    text = f"a\n{section('numbers', '1')}\nb\n{section('files', '')}\n"
    assert section_in(text, "numbers") == "1" and section_in(text, "files") == "" and section_in(text, "note") is None
    again = replaced(text, "numbers", r"2 \1")
    assert section_in(again, "numbers") == r"2 \1" and replaced(again, "numbers", "1") == text
    assert replaced("mine\n", "note", "new") == f"mine\n\n{section('note', 'new')}\n"


def test_tables_keep_their_columns():
    assert table(["a", "b:"], [["x|y", "line\nbreak"]]) == "| a | b |\n| --- | --: |\n| x\\|y | line break |"


def test_making_tells_the_base(made):
    assert json.loads((made / MAKING).read_text())["base"] == HUB


def test_records_of_other_models_of_the_run_are_left_out():
    """Two models of a run may be made in the same second by the same method at the same ratio, and each has a dense one of its own."""
    made = {"date": "2026-11-26T10:00:00+00:00", "label": "svd", "ratio": 0.2}

    def record(model, method, **provenance):
        return {"model": model, "method": method, "provenance": provenance}

    records = [
        record("a", "svd", making={"model": "a", **made}),
        record("b", "svd", making={"model": "b", **made}),
        record("a", "dense", making=None),
        record("b", "dense", making=None),
        record("a", "theirs", making=None, checkpoint={"source": {"path": "x"}}),
    ]
    own, dense = split(records, {"model": "a", **made})
    assert own == [records[0]] and dense == [records[2]]
