"""What models owe to text that they have seen: two texts that are as good as one, and what of overfitting reaches a record."""

import hashlib

import pytest
import torch
from torch.nn.functional import cross_entropy

import drank
from drank.corpora.overlap import SeenTextError
from drank.corpora.windows import Tokens, read_tokens, write_tokens
from drank.models.checkpoint import load_model
from drank.reporting.records import Record
from drank.runtime.files import read_json
from drank.steps import evaluate, overfitting, overlap
from tests.unit.steps.measuring import described, how
from tests.unit.steps.tiny import FEW, drawn_text
from tests.workflow.runs import write_model

READ = {"corpus": "text", "split": "train", "windows": 6, "length": 16, "seed": 13, "batch": 4, "bos": "text"}
CUT = {"length": 32, "windows": 4, "bos": "text"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a model, a model made of it, and the tokens of the text that this was calibrated on."""
    folder = tmp_path_factory.mktemp("seen")
    write_model(folder / "model")
    drank.compress(folder / "model", "svd-llm", 0.4, drawn_text(), folder / "small", work=folder / "work", **FEW)
    (tokens,) = (folder / "work/results/tokens/model").glob("*.safetensors")
    described(folder)
    described(folder, "smaller", "small")
    return folder, tokens


def written(path, ids, name):
    """The file of a text of these ids."""
    held = torch.tensor(ids, dtype=torch.int32)
    write_tokens(path, Tokens(held, name, "test", "a" * 64, hashlib.sha256(held.numpy().tobytes()).hexdigest()))
    return path


def test_an_overlap_is_one_of_what_is_measured_with_the_whole_of_the_other_text(made, tmp_path):
    _, tokens = made
    ids, out = read_tokens(tokens).ids.tolist(), tmp_path / "out.json"
    text = written(tmp_path / "text", [*range(100, 164), *ids[200:264], *ids[:500]], "mixed")
    what = {"measured": text, "read": tokens, "perplexity": CUT}
    overlap.run(out, **what, seen=True)
    assert read_json(out) == {"text": "mixed.test", "read": "text-1.train", "tokens": 50, "runs": 79, "found": 15, "share": 15 / 79}
    overlap.run(out, **what, seen=False)  # 19 %
    out.unlink()
    with pytest.raises(SeenTextError, match=r"^80\.5 % of the runs of 50 tokens of mixed\.test .* in text-1\.train, .*seen: true"):
        overlap.run(out, measured=text, read=tokens, perplexity=CUT | {"windows": None}, seen=False)
    assert not out.exists()


def test_texts_of_fewer_tokens_than_a_run_do_not_overlap(made, tmp_path):
    _, tokens = made
    text = written(tmp_path / "text", read_tokens(tokens).ids.tolist()[:40], "short")
    overlap.run(tmp_path / "out.json", measured=text, read=tokens, perplexity=CUT, seen=False)
    assert read_json(tmp_path / "out.json")["share"] == 0


@pytest.mark.parametrize("shares", [1, 2])
def test_a_record_tells_of_both_whole_or_by_shares(made, tmp_path, shares):
    folder, tokens = made
    places, compute = {"source": {"path": str(folder / "model")}, "smaller": {"path": str(folder / "small")}}, how()["compute"]
    source = {"source": folder / "source.json", "places": places, "tokens": tokens}
    overfitting.run(tmp_path / "dense.json", **source, calibration=READ, windows=4, compute=compute, threads=1)
    test = written(tmp_path / "test", [3, 5, 7, 1] * 40, "words")
    overlap.run(tmp_path / "overlap.json", measured=test, read=tokens, perplexity=CUT, seen=False)
    what = how() | {"model": folder / "smaller.json", "tokens": [test], "places": places, "overlaps": [tmp_path / "overlap.json"]}
    what |= {"overfitting": [tmp_path / "dense.json", tokens], "names": {"model": "tiny", "method": "svd-llm", "ratio": "0.4"}}
    parts = [tmp_path / f"{part}.json" for part in range(shares)] if shares > 1 else []
    for number, part in enumerate(parts, start=1):
        evaluate.run({"part": part}, **what, share=f"{number}-of-{shares}")
    evaluate.run({"perplexity": tmp_path / "record.json"}, **what, parts=parts)
    record = Record.read(tmp_path / "record.json")
    assert record.provenance["overlap"] == {"words.test": {"text-1.train": 0.0}}
    assert record.provenance["tokens_per_channel"] == 6 * 16 / 24
    told, text = record.provenance["overfitting"], read_tokens(tokens)
    assert told["read"] == text.places(16, 6, 13).tolist()[:4] and len(told["unread"]) == 4
    rises = {}
    for name in ("read", "unread"):
        windows = text.at(torch.tensor(told[name]), 16)
        with torch.inference_mode():
            own, dense = (load_model(folder / place)(windows).logits[:, :-1] for place in ("small", "model"))
        mine, theirs = (cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten()).item() for logits in (own, dense))
        rises[f"rise_on_{name}"] = mine - theirs
    rows = {row.metric: row for row in record.results if row.dataset == "text-1.train"}
    assert {name: rows[name].value for name in rises} == pytest.approx(rises, rel=1e-3)
    assert rows["overfitting"].value == pytest.approx(rows["rise_on_unread"].value - rows["rise_on_read"].value)
    assert rows["overfitting"].count == 4 and set(record.detail) == {"words"}


def test_nothing_is_told_of_what_was_not_asked_for(made, tmp_path):
    folder, _ = made
    test = written(tmp_path / "test", [3, 5, 7, 1] * 40, "words")
    evaluate.run(
        {"perplexity": tmp_path / "record.json"},
        model=folder / "source.json",
        tokens=[test],
        places={"source": {"path": str(folder / "model")}},
        **how(),
    )
    record = Record.read(tmp_path / "record.json")
    assert not {"overlap", "overfitting", "tokens_per_channel"} & record.provenance.keys()
    assert {row.dataset for row in record.results} == {"words"}
