"""Methods that are measured on a split that they read: an error that names all of them, unless the configuration says that it is meant."""

from dataclasses import replace

import pytest

from drank.config import check, with_defaults
from drank.config.seen import texts_read
from drank.methods import METHODS
from tests.unit.configurations import SCHEMA, problems

SAID = "read corpus 'mine', split 'train', and would be measured on it"


@pytest.fixture
def small(valid):
    """A configuration of which nothing is timed or asked."""
    del valid["throughput"], valid["zeroshot"], valid["tasks"]
    valid["models"]["tiny"]["methods"] = {}
    valid["methods"] = {"dense": {}, "svd": {}, "svd-llm": {}, "d-rank": {}}
    return valid


def test_the_split_of_the_calibration_is_no_test_text_unless_that_is_said(small):
    small["perplexity"]["split"] = "train"
    (found,) = problems(small)
    assert found.startswith(f"calibration: svd-llm, d-rank {SAID}") and "perplexity: {seen: true}" in found
    small["perplexity"]["seen"] = True
    check(with_defaults(small, SCHEMA))


def test_it_is_told_beside_all_else_that_is_wrong(small):
    small["perplexity"]["split"] = "train"
    small["ratios"] = [0.2, 0.93]
    found = problems(small)
    assert any(SAID in line for line in found) and any("ratio 0.93 leaves too little" in line for line in found)


def test_methods_are_told_by_what_they_read_of_their_own(small):
    small["methods"] |= {"other": {"base": "svd-llm", "calibration": {"corpus": "python-docs"}}, "same": {"base": "svd", "refit_from": 0.3}}
    small["methods"] |= {"test": {"base": "svd-llm", "calibration": {"split": "test"}}}
    (found,) = problems(small)
    assert found.startswith("calibration: test read corpus 'mine', split 'test', and")


def test_searches_and_fine_tuning_read_text_too(small):
    small["methods"] |= {"searched": {"base": "asvd-search"}, "tuned": {"base": "svd", "finetune_from": 0.3}}
    small["search"], small["finetune"] = {"split": "test"}, {"split": "test"}
    found = problems(small)
    assert [line.partition(" read ")[0] for line in found] == ["search: searched", "finetune: tuned"]


def test_artefacts_ask_for_splits_and_texts_of_their_own(small):
    runs = {"method": ["svd-llm"], "corpus": ["mine", "python-docs"], "ratio": 0.2}
    small["artefacts"] = {"mine": {"layout": "pivot", "rows": ["corpus"], "columns": ["dataset"], "on": ["mine.train"], "runs": runs}}
    (found,) = problems(small)
    assert found.startswith(f"calibration: svd-llm {SAID}"), "the variant reads other text"
    small["artefacts"]["mine"]["runs"]["method"] = ["svd"]
    del small["artefacts"]["mine"]["runs"]["corpus"]
    small["artefacts"]["mine"]["rows"] = ["method"]
    check(with_defaults(small, SCHEMA))


def test_what_is_read_hangs_on_the_ratio(small):
    config = with_defaults({**small, "finetune": {"corpus": "python-docs"}}, SCHEMA)
    tuned = {"calibration": ("mine", "train"), "finetune": ("python-docs", "train")}
    assert texts_read(config, METHODS["dense"], 0.0) == texts_read(config, METHODS["svd"], 0.2) == {}
    late = replace(METHODS["svd-llm"], finetune_from=0.4)
    assert texts_read(config, late, 0.2) == {"calibration": ("mine", "train")}
    assert texts_read(config, late, 0.4) == tuned
