"""Long jobs first: how urgent a job is, what a run makes of that, and that Snakemake starts them so."""

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from drank.runtime.urgency import urgency


@st.composite
def jobs(draw):
    """Seconds of jobs, and who waits for whom: only later ones for earlier."""
    count = draw(st.integers(1, 7))
    expected = {job: draw(st.integers(0, 100)) for job in range(count)}
    waits = draw(st.sets(st.sampled_from([(a, b) for a, b in product(range(count), repeat=2) if a < b] or [None])))
    return expected, {job: [pair[1] for pair in waits if pair and pair[0] == job] for job in expected}


@given(jobs())
def test_a_job_is_as_urgent_as_the_longest_that_waits_for_it(made):
    expected, followers = made
    found = urgency(expected, followers)
    for job, seconds in found.items():
        reached, new = {job}, {job}
        while new:
            new = {other for one in new for other in followers[one]} - reached
            reached |= new
        assert seconds == max(expected[one] for one in reached)


def test_what_nothing_is_known_of_takes_no_time():
    assert urgency({1: 5.4}, {0: [1], 1: [], 2: []}) == {0: 5, 1: 5, 2: 0}


SNAKEFILE = """
from drank.runtime.urgency import hasten

SECONDS = {"measure": 20, "long": 900, "prepare": 1, "urgent": 5}

onstart:
    hasten(workflow.dag, {workflow.dag.jobid(job): SECONDS.get(job.rule.name, 0) for job in workflow.dag.needrun_jobs()})

rule all:
    input: expand("measure.{name}", name=[*"abcd"]), "long", "urgent"

rule measure:
    output: "measure.{name}"
    shell: "echo {output} >> order; touch {output}"

rule prepare:
    output: "prepare"
    shell: "echo {output} >> order; touch {output}"

rule long:
    input: "prepare"
    output: "long"
    shell: "echo {output} >> order; touch {output}"

rule urgent:
    output: "urgent"
    shell: "echo {output} >> order; touch {output}"
"""


def order_of(folder, *options, snakefile=SNAKEFILE):
    """The order in which a run on one core makes its files."""
    folder.mkdir()
    (folder / "Snakefile").write_text(snakefile)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *options]
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(command, cwd=folder, env=here, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return (folder / "order").read_text().split()


def test_snakemake_starts_what_long_jobs_wait_for_first(tmp_path):
    order = order_of(tmp_path / "run")
    assert order[:2] == ["prepare", "long"] and order[-1] == "urgent"
    assert sorted(order[2:-1]) == [f"measure.{name}" for name in "abcd"]


def test_what_the_command_line_prioritises_comes_before(tmp_path):
    assert order_of(tmp_path / "run", "--prioritize", "urgent")[0] == "urgent"


def test_a_rule_that_says_how_urgent_it_is_stays_so(tmp_path):
    told = SNAKEFILE.replace('    output: "urgent"', '    output: "urgent"\n    priority: 1000')
    assert order_of(tmp_path / "run", snakefile=told)[:2] == ["urgent", "prepare"]
