"""Models and data sets of the hub, from a cache laid out as the hub's client leaves it, without a network."""

import json

import pytest
from huggingface_hub._tree_cache import TreeCacheEntry, write_tree_cache

import drank
from drank.corpora import commit_of
from drank.models.sources import directory_of
from tests.workflow.runs import WORDS, write_model

COMMIT = "c" * 40
FEW = {"windows": 8, "length": 32, "threads": 1}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "prepared"))
    model = tmp_path / "hub/models--org--Tiny"
    write_model(model / "snapshots" / COMMIT)
    (model / "snapshots" / COMMIT / "README.md").write_text("---\nlicense: mit\n---\n")
    text = tmp_path / "hub/datasets--org--Text"
    (text / "snapshots" / COMMIT).mkdir(parents=True)
    rows = [json.dumps({"body": " ".join(WORDS)}) for _ in range(60)]
    for split in ("train", "test"):
        (text / "snapshots" / COMMIT / f"{split}.jsonl").write_text("\n".join(rows))
    for repository in (model, text):
        (repository / "refs").mkdir()
        (repository / "refs/main").write_text(COMMIT)
    return tmp_path


def test_a_model_and_a_data_set_of_the_hub(hub):
    out = hub / "out"
    drank.compress("org/Tiny", "svd-llm", 0.4, "hub:org/Text,field=body", out, **FEW)
    making = json.loads((out / "making.json").read_text())
    assert making["base"]["source"] == {"hub": "org/Tiny", "revision": COMMIT}
    card = (out / "README.md").read_text()
    assert "base_model: org/Tiny" in card
    assert "license: mit" in card
    assert COMMIT in card
    found = drank.evaluate("org/Tiny", "hub:org/Text,field=body", **FEW)
    assert found["perplexity"].method == "dense"
    assert found["perplexity"].results[0].dataset == "Text"


@pytest.mark.parametrize("reader", ["prefetch", "call"])
def test_a_repository_that_was_not_fetched_whole_is_there(hub, reader):
    """As after any `prefetch`: the client lists all files of a repository, and drank asks for some of them."""
    for kind, name in (("models", "Tiny"), ("datasets", "Text")):
        folder = hub / f"hub/{kind}--org--{name}"
        files = [path.name for path in (folder / "snapshots" / COMMIT).iterdir()]
        listed = {
            file: TreeCacheEntry(size=1, blob_id="a" * 40) for file in [*files, ".gitattributes", "USE_POLICY.md", "consolidated.pth"]
        }
        write_tree_cache(str(folder), COMMIT, listed)
        assert (folder / "trees" / f"{COMMIT}.json").is_file()
    if reader == "prefetch":
        assert directory_of({"hub": "org/Tiny"}).name == COMMIT and commit_of({"hub": "org/Text"}) == {"commit": COMMIT}
    else:
        assert drank.evaluate("org/Tiny", "hub:org/Text,field=body", **FEW)["perplexity"].method == "dense"


def test_a_data_set_that_moved_on_is_read_again(hub):
    text = hub / "hub/datasets--org--Text"
    kept = {"work": hub / "kept", **FEW}
    drank.compress("org/Tiny", "svd-llm", 0.4, "hub:org/Text,field=body", hub / "a", **kept)
    moved = text / "snapshots" / ("d" * 40)
    moved.mkdir()
    for split in ("train", "test"):
        rows = [json.dumps({"body": " ".join(reversed(WORDS[:7]))}) for _ in range(200)]
        (moved / f"{split}.jsonl").write_text("\n".join(rows))
    (text / "refs/main").write_text("d" * 40)
    drank.compress("org/Tiny", "svd-llm", 0.4, "hub:org/Text,field=body", hub / "b", **kept)
    drank.compress("org/Tiny", "svd-llm", 0.4, "hub:org/Text,field=body", hub / "c", **FEW)
    weights = [(hub / name / "model.safetensors").read_bytes() for name in "abc"]
    assert weights[0] != weights[1] == weights[2]


def test_what_the_hub_does_not_have_is_named_before_the_work(hub):
    with pytest.raises(RuntimeError, match=r"could not fetch everything.*\n.*model Missing"):
        drank.compress("org/Missing", "svd", 0.4, out=hub / "out")
    with pytest.raises(RuntimeError, match=r"could not fetch everything.*\n.*corpus None"):
        drank.compress("org/Tiny", "svd-llm", 0.4, "hub:org/None", hub / "out", **FEW)
    assert not (hub / "out.work").exists()
