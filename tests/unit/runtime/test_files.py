"""Files are whole or absent, whatever happens while they are written."""

import math
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import drank
from drank.runtime import files
from drank.runtime.belonging import RunGoneError
from drank.runtime.files import TakenOverError, file_hash, read_json, replacing, resuming, write_json, write_text
from drank.runtime.run import RUN, run_file

ROOT = Path(drank.__file__).parents[1]


def test_an_interrupted_write_leaves_no_file(tmp_path):
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_keeps_the_old_file(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text(str(1 / 0))
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_killed_process_leaves_nothing_under_the_name(tmp_path):
    program = (
        "import os, signal, sys\nfrom drank.runtime.files import replacing\n"
        "with replacing(sys.argv[1]) as temporary:\n temporary.write_text('half')\n os.kill(os.getpid(), signal.SIGKILL)"
    )
    ran = subprocess.run([sys.executable, "-c", program, tmp_path / "out" / "a.txt"], cwd=ROOT)
    assert ran.returncode == -signal.SIGKILL
    assert not (tmp_path / "out" / "a.txt").exists()
    write_text(tmp_path / "out" / "a.txt", "whole")
    assert (tmp_path / "out" / "a.txt").read_text() == "whole"


def test_a_directory_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "model"
    for generation in ("one", "two"):
        with replacing(target) as temporary:
            temporary.mkdir()
            (temporary / generation).write_text(generation)
    assert [path.name for path in target.iterdir()] == ["two"]
    with pytest.raises(RuntimeError), replacing(target) as temporary:
        temporary.mkdir()
        (temporary / "three").write_text("three")
        raise RuntimeError("no disk")
    assert [path.name for path in target.iterdir()] == ["two"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_temporary_file_is_hidden_and_on_the_same_disk(tmp_path):
    with replacing(tmp_path / "deep" / "er" / "a.txt") as temporary:
        assert temporary.parent == tmp_path / "deep" / "er"
        assert temporary.name.startswith(".")
        temporary.touch()
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["a.txt"]


def test_json_round_trip_in_sorted_order(tmp_path):
    value = {"b": [1, 2.5, None], "a": {"ω": "θ"}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    text = (tmp_path / "a.json").read_text()
    assert text.index('"a"') < text.index('"b"')
    assert text.endswith("}\n")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_json_refuses_what_is_not_a_number(tmp_path, number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": number})
    assert list(tmp_path.iterdir()) == []


def test_broken_json_names_the_file_and_the_remedy(tmp_path):
    (tmp_path / "broken.json").write_text('{"a": ')
    with pytest.raises(ValueError, match=r"broken\.json is not valid JSON .*; fetch it again, or delete it and run again"):
        read_json(tmp_path / "broken.json")


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path):
    (tmp_path / ".plan.json.123.part").mkdir()
    (tmp_path / ".plan.json.123.part" / "half").write_text("")
    (tmp_path / ".other.json.9.part").write_text("")
    write_text(tmp_path / "plan.json", "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.json.9.part", "plan.json"]


def test_interrupted_work_is_gone_on_with_by_a_run_for_the_same_facts(tmp_path):
    target = tmp_path / "moments"
    with pytest.raises(KeyboardInterrupt), resuming(target, {"seed": 13, "code": "a"}) as partial:
        write_text(partial / "layer-0", "zero")
        (partial / ".tmpX7").write_text("what safetensors leaves when it is killed")
        (partial / ".layer-1.123.part").mkdir()
        raise KeyboardInterrupt
    assert not target.exists()
    with resuming(target, {"code": "a", "seed": 13}) as partial:
        assert (partial / "layer-0").read_text() == "zero"
        write_text(partial / "layer-1", "one")
    assert sorted(path.name for path in target.iterdir()) == ["layer-0", "layer-1"]
    assert [path.name for path in tmp_path.iterdir()] == ["moments"]


def test_interrupted_work_for_other_facts_is_discarded_and_nothing_else(tmp_path):
    (tmp_path / ".moments-2.0.partial").mkdir()
    with pytest.raises(ZeroDivisionError), resuming(tmp_path / "moments", {"seed": 13}) as partial:
        write_text(partial / "layer-0", "old")
        raise ZeroDivisionError
    with resuming(tmp_path / "moments", {"seed": 14}) as partial:
        assert list(partial.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [".moments-2.0.partial", "moments"]


def test_resumed_work_replaces_what_was_there(tmp_path):
    for facts in ({"seed": 13}, {"seed": 14}):
        with resuming(tmp_path / "moments", facts) as partial:
            write_json(partial / f"{facts['seed']}.json", facts)
    assert [path.name for path in (tmp_path / "moments").iterdir()] == ["14.json"]


def test_facts_that_json_cannot_hold_are_refused_before_the_work(tmp_path):
    with pytest.raises(TypeError), resuming(tmp_path / "moments", {"seed": object()}):
        pytest.fail("the work was begun")


def test_unfinished_work_of_a_longer_name_is_left_alone(tmp_path):
    """`qwen2` and `qwen2.5` may be calibrated at the same time."""
    with resuming(tmp_path / "qwen2.5", {"a": 1}) as longer:
        (longer / "layer").write_text("done")
        with resuming(tmp_path / "qwen2", {"a": 1}):
            pass
        with replacing(tmp_path / "0.2") as being_written:
            being_written.write_text("x")
            with replacing(tmp_path / "0") as other:
                other.write_text("y")
        assert (longer / "layer").read_text() == "done"
    assert (tmp_path / "0.2").read_text() == "x"
    assert (tmp_path / "qwen2.5/layer").exists()


def test_file_hash_knows_files_and_folders(tmp_path):
    (tmp_path / "a").write_text("x")
    assert file_hash(tmp_path / "a") == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    before = file_hash(tmp_path)
    assert before == file_hash(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert file_hash(tmp_path) != before


def test_what_is_left_out_of_a_hash_changes_nothing(tmp_path):
    (tmp_path / "weights").write_text("x")
    before = file_hash(tmp_path)
    (tmp_path / "making.json").write_text("when and where")
    assert file_hash(tmp_path) != before == file_hash(tmp_path, {"making.json"})


def test_work_that_was_taken_away_is_not_begun_anew_where_it_was(tmp_path):
    """A folder written file by file would otherwise be put in place without what was written before."""
    with pytest.raises(TakenOverError, match="another process writes"), replacing(tmp_path / "records") as slow:
        slow.mkdir()
        write_text(slow / "one", "1")
        mine, files._TOKEN = files._TOKEN, "0" * 8
        try:
            with replacing(tmp_path / "records") as other:
                other.mkdir()
                write_text(other / "one", "1")
                write_text(other / "two", "2")
        finally:
            files._TOKEN = mine
        with pytest.raises(TakenOverError, match="has taken over what was made there"):
            write_text(slow / "two", "2")
    assert sorted(path.name for path in (tmp_path / "records").iterdir()) == ["one", "two"]
    assert [path.name for path in tmp_path.iterdir()] == ["records"]


def test_nothing_is_put_in_place_by_a_job_whose_run_is_gone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(RUN, "node1:7:1")
    (tmp_path / ".snakemake").mkdir()
    run_file(tmp_path).write_text("node1:7:1")
    write_text("plan", "whole")
    with pytest.raises(RunGoneError, match="node2:8 is at work here now"), replacing("plan") as temporary:
        temporary.write_text("late")
        run_file(tmp_path).write_text("node2:8:1")
    assert (tmp_path / "plan").read_text() == "whole" and not list(tmp_path.glob(".plan*"))
