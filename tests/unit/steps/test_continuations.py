"""What a model writes is measured apart from its losses, and stands in the record of its perplexity."""

from __future__ import annotations

from drank.evaluation import wanted
from tests.unit.steps.measuring import evaluated, how, write_folder
from tests.workflow.runs import WORDS


def test_other_continuations_are_written_alone(tmp_path, monkeypatch):
    folder, seen = write_folder(tmp_path / "folder"), []
    written = wanted.continuations_of
    monkeypatch.setattr(wanted, "continuations_of", lambda *args: seen.append(f"continuations {args[3]}") or written(*args))
    before = evaluated(folder, tmp_path, kept=tmp_path / "kept")["perplexity"]
    told = before["detail"]["words"]["continuations"]
    assert len(told) == 3 and all(set(one["text"].split()) <= {"<unk>", *WORDS} and one["prompt"] for one in told)
    assert [row["metric"] for row in before["results"]][-1] == "repeated_4grams"
    seen.clear()
    other = how()["perplexity"] | {"continuations": {"prompts": 2, "prompt": 8, "tokens": 12}}
    again = evaluated(folder, tmp_path, kept=tmp_path / "kept", perplexity=other)["perplexity"]
    assert seen == ["continuations words"] and len(again["detail"]["words"]["continuations"]) == 2
    none = evaluated(folder, tmp_path, kept=tmp_path / "kept", perplexity=how()["perplexity"] | {"continuations": {"prompts": 0}})
    assert "continuations" not in none["perplexity"]["detail"]["words"] and seen == ["continuations words"]
