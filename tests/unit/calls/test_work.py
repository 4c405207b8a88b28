"""Steps in one process: each done once, again where what decides it has changed, and never half."""

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from drank.calls import work
from drank.calls.tasks import Task
from drank.calls.work import Work
from drank.runtime.lock import FolderBusyError, hold


class Steps:
    """Stands in for the steps of drank: each writes its parameters and the names of what it read."""

    def __init__(self):
        self.ran = []
        self.fail = None

    def step_of(self, rule):
        def run(output, **given):
            if self.fail == rule:
                Path(output).write_text("half")
                raise ValueError("stopped")
            self.ran.append(rule)
            Path(output).write_text(repr(sorted(given.items(), key=str)))
            return rule

        return run


@pytest.fixture
def steps(monkeypatch):
    found = Steps()
    monkeypatch.setattr(work, "step_of", found.step_of)
    monkeypatch.setattr(work, "code_of", lambda *names: "code")
    monkeypatch.setattr(work, "forecast", lambda config, jobs, processes: {number: 1.0 for number, *_ in jobs})
    return found


def tasks(windows=3):
    return [
        Task("corpus", "text", params={"source": 1}),
        Task("tokenize", "tokens", {"corpus": "text"}, {"split": "train"}),
        Task("allocate", "plan", {"evidence": {"spectra": "tokens"}}, {"windows": windows}),
    ]


def test_what_is_there_is_not_done_again(steps, tmp_path):
    place = Work(tmp_path)
    assert place.carry_out({}, tasks()) == "allocate"
    assert steps.ran == ["corpus", "tokenize", "allocate"]
    place.carry_out({}, tasks())
    assert len(steps.ran) == 3
    place.carry_out({}, tasks(windows=4))
    assert steps.ran[3:] == ["allocate"]


def test_what_follows_a_change_is_done_again(steps, tmp_path):
    place = Work(tmp_path)
    place.carry_out({}, tasks())
    changed = [Task("corpus", "text", params={"source": 2}), *tasks()[1:]]
    place.carry_out({}, changed)
    assert steps.ran[3:] == ["corpus", "tokenize", "allocate"]


def test_a_file_from_outside_counts_by_its_content(steps, tmp_path):
    text = tmp_path / "mine.txt"
    text.write_text("one")
    one = [Task("corpus", "text", outside=[str(text)])]
    place = Work(tmp_path / "work")
    place.folder.mkdir()
    place.carry_out({}, one)
    os.utime(text, (1, 1))
    place.carry_out({}, one)
    assert steps.ran == ["corpus"]
    text.write_text("two")
    place.carry_out({}, one)
    assert steps.ran == ["corpus", "corpus"]


@pytest.mark.parametrize("edited", ["text", "code"])
def test_what_is_edited_while_a_step_runs_is_read_by_the_next_call(steps, tmp_path, monkeypatch, edited):
    text = tmp_path / "mine.txt"
    text.write_text("one")
    (tmp_path / "work").mkdir()
    run = steps.step_of("corpus")

    def edit(output, **given):
        run(output, **given)
        if edited == "text":
            text.write_text("two")
        else:
            monkeypatch.setattr(work, "code_of", lambda *names: "newer code")

    monkeypatch.setattr(work, "step_of", lambda rule: edit)
    for _ in range(3):
        Work(tmp_path / "work").carry_out({}, [Task("corpus", "text", outside=[str(text)])])
    assert steps.ran == ["corpus", "corpus"]


def test_a_step_that_broke_off_is_done_again_also_for_what_was_there_before(steps, tmp_path):
    place = Work(tmp_path)
    place.carry_out({}, tasks(3))
    steps.fail = "allocate"
    with pytest.raises(ValueError, match="stopped"):
        place.carry_out({}, tasks(4))
    steps.fail = None
    place.carry_out({}, tasks(3))
    assert "windows" in (tmp_path / "plan").read_text(), "the half that the broken step left was taken for the plan"


def test_source_is_looked_at_each_time(steps, tmp_path):
    place = Work(tmp_path)
    for _ in range(2):
        place.carry_out({}, [Task("source", "source", params={"source": 1})])
    assert steps.ran == ["source", "source"]


def test_progress_goes_to_the_terminal_and_to_a_file(steps, tmp_path, capsys, monkeypatch):
    drank = logging.getLogger("drank")
    monkeypatch.setattr(drank, "propagate", False)
    Work(tmp_path).carry_out({}, tasks())
    told = capsys.readouterr().err
    assert "drank: 3 steps, 3 of them to be done: about 3 s" in told
    assert "allocate: done in 0 s; 3 of 3 steps" in told
    assert "INFO tokenize: done in 0 s; 2 of 3 steps, about" in (tmp_path / "drank.log").read_text()
    assert drank.handlers == []


def test_the_process_is_left_as_it_was(tmp_path, monkeypatch):
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    threads = torch.get_num_threads()
    with Work(tmp_path).held():
        torch.set_num_threads(1)
        os.environ["TRANSFORMERS_OFFLINE"] = "1"
    assert torch.get_num_threads() == threads
    assert "TRANSFORMERS_OFFLINE" not in os.environ


def test_two_calls_do_not_share_a_folder(tmp_path):
    with hold(tmp_path / "drank.lock"), pytest.raises(FolderBusyError, match="at work in"), Work(tmp_path).held():
        pass
    with Work(tmp_path).held():
        pass


STATE = """
import os, torch
from huggingface_hub import constants
from drank.calls import work
from drank.runtime.device import go_offline
torch.set_default_dtype(torch.float64)
with torch.inference_mode(), work.Work(work.Path("w")).held():
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    go_offline()
    import datasets
    assert constants.HF_HUB_OFFLINE and datasets.config.HF_HUB_OFFLINE
assert torch.get_default_dtype() == torch.float64
assert not constants.HF_HUB_OFFLINE and not datasets.config.HF_HUB_OFFLINE and not datasets.are_progress_bars_disabled()
assert "HF_HUB_OFFLINE" not in os.environ
"""


def test_neither_a_step_nor_its_caller_sets_anything_for_the_other(tmp_path):
    kept = {
        name: value for name, value in os.environ.items() if "OFFLINE" not in name and "PROGRESS" not in name and name != "TQDM_DISABLE"
    }
    subprocess.run([sys.executable, "-c", STATE], cwd=tmp_path, env=kept | {"PYTHONPATH": str(Path(work.__file__).parents[2])}, check=True)


def test_calls_of_other_threads_wait(tmp_path):
    inside, most = [], []

    def call(number):
        with Work(tmp_path / str(number)).held():
            inside.append(number)
            os.environ["HF_HUB_OFFLINE"] = "1"
            time.sleep(0.05)
            most.append(len(inside))
            inside.remove(number)

    before = os.environ.get("HF_HUB_OFFLINE")
    threads = [threading.Thread(target=call, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1]
    assert os.environ.get("HF_HUB_OFFLINE") == before
