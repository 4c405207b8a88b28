"""What a step leaves in its log and shows on the terminal, each seen from outside in a process of its own."""

import logging
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import drank
from drank.runtime import log as steplog
from drank.runtime.log import duration, progress, step_name

ROOT = Path(drank.__file__).parents[1]


def run(tmp_path, body, path="logs/calibrate/docs-mha.log"):
    """Run a script after `start`: what it returned, showed on stderr and stdout, and left in the log."""
    begin = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom drank.runtime.log import start\nstart({path!r})\n"
    program = begin + textwrap.dedent(body)
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    return ran, (tmp_path / path).read_text()


def test_lines_go_to_log_and_terminal(tmp_path):
    ran, log = run(
        tmp_path, "import logging; logging.getLogger('drank.x').info('rank %d', 3); logging.getLogger('drank.x').warning('ridge')"
    )
    assert ran.returncode == 0
    assert ran.stderr == "calibrate docs-mha: rank 3\ncalibrate docs-mha: warning: ridge\n"
    first, second = log.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO rank 3", first)
    assert second.endswith(" WARNING ridge")


def test_libraries_are_heard_in_the_log_from_warnings_on_and_not_on_the_terminal(tmp_path):
    ran, log = run(
        tmp_path,
        """
        import logging, sys, warnings
        logging.getLogger("library").info("chatter")
        logging.getLogger("library").warning("trouble")
        warnings.warn("deprecated")
        print("a table")
        sys.stderr.write("\\r 10%\\r 90%\\r100% done\\n")
        """,
    )
    assert ran.stderr == ran.stdout == ""
    assert "chatter" not in log
    assert "WARNING trouble" in log
    assert "deprecated" in log
    assert "INFO a table\n" in log
    assert log.splitlines()[-1].endswith("INFO 100% done")
    assert "\r" not in log


def test_an_import_error_lands_in_the_log(tmp_path):
    ran, log = run(tmp_path, "import a_module_that_is_not_there")
    assert ran.returncode == 1
    assert "Traceback" in log
    assert "No module named 'a_module_that_is_not_there'" in log
    assert ran.stderr.splitlines()[-1] == "calibrate docs-mha failed (ModuleNotFoundError); its log is logs/calibrate/docs-mha.log"


def test_an_error_that_drank_raises_is_shown_without_traceback(tmp_path):
    ran, log = run(tmp_path, "from drank.models.families import family_of\nfamily_of({'model_type': 'lama'})")
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    message, last = ran.stderr.splitlines()
    assert message.startswith("calibrate docs-mha: model_type 'lama' is not a family drank knows (did you mean llama")
    assert last == "calibrate docs-mha failed (UnknownFamilyError); its log is logs/calibrate/docs-mha.log"
    assert "Traceback" not in log  # which Snakemake shows after the terminal has had its line
    assert "CRITICAL calibrate docs-mha failed: model_type 'lama' is not a family drank knows" in log


def test_the_log_tells_where_drank_raised_an_error_of_pythons_own(tmp_path):
    ran, log = run(tmp_path, "from drank.runtime.shares import Share\nShare.named('2/4')")
    assert ran.stderr.splitlines()[0] == "calibrate docs-mha: '2/4' is no share; write the second of four as 2-of-4"
    assert "Traceback" in log and "shares.py" in log


@pytest.mark.parametrize("body", ["{}['x']", "import json; json.loads('?')", "raise ValueError('of the script')"])
def test_an_error_nobody_foresaw_is_shown_with_traceback(tmp_path, body):
    ran, log = run(tmp_path, body)
    assert ran.returncode == 1
    assert ran.stderr.startswith("Traceback")
    assert re.match(r"calibrate docs-mha failed \(\w+Error\); its log is ", ran.stderr.splitlines()[-1])
    assert "Traceback" in log


def test_an_interrupt_is_one_line(tmp_path):
    ran, _ = run(tmp_path, "raise KeyboardInterrupt")
    assert ran.returncode == 130 or ran.returncode < 0 or ran.returncode == 1
    assert ran.stderr == "calibrate docs-mha interrupted; its log is logs/calibrate/docs-mha.log\n"


def test_a_second_run_starts_a_new_log(tmp_path):
    run(tmp_path, "print('first')")
    _, log = run(tmp_path, "print('second')")
    assert "first" not in log
    assert "second" in log


def test_start_imports_only_the_standard_library(tmp_path):
    ran, log = run(tmp_path, "tops = {n.split('.')[0] for n in sys.modules}\nprint(sorted(tops - sys.stdlib_module_names - {'drank'}))")
    assert ran.returncode == 0
    heavy = {"numpy", "torch", "pandas", "transformers", "yaml"}
    assert not heavy & set(re.findall(r"\w+", log))


def test_step_name_is_the_path_in_words():
    assert step_name(Path("results/logs/allocate/docs-mha/d-rank/0.2.log")) == "allocate docs-mha d-rank 0.2"
    assert step_name(Path("elsewhere/tables.log")) == "tables"


class Clock:
    """A clock that goes on by `step` seconds whenever it is read."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def monotonic(self):
        self.now += self.step
        return self.now


@pytest.fixture
def told(caplog, monkeypatch):
    def lines(items, step, **options):
        monkeypatch.setattr(steplog, "time", Clock(step))
        caplog.clear()
        with caplog.at_level(logging.INFO, "drank"):
            assert list(progress(items, "block", **options)) == list(items)
        return [record.getMessage() for record in caplog.records]

    return lines


def test_progress_tells_time_done_and_to_go(told):
    assert told(range(4), 6.0) == [
        "block 1 of 4, 6 s done, 18 s to go",
        "block 2 of 4, 12 s done, 12 s to go",
        "block 3 of 4, 18 s done, 6 s to go",
        "block 4 of 4, 24 s done",
    ]


def test_progress_always_tells_first_and_last_and_rarely_between(told):
    lines = told(range(100), 1.0, every=30.0)
    assert [line.split()[1] for line in lines] == ["1", "31", "61", "91", "100"]


def test_progress_without_a_length(told):
    class Stream:
        def __iter__(self):
            return iter("abc")

    assert told(Stream(), 1.0) == ["block 1, 1 s done", "block 3, 4 s done"]
    assert told(Stream(), 1.0, total=3)[-1] == "block 3 of 3, 3 s done"
    assert told([], 1.0) == []


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_duration(seconds, words):
    assert duration(seconds) == words
