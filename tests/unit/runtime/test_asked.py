"""The table of jobs says what each rule asks a cluster for."""

import io
import logging

from drank.runtime.asked import ShowAsked, most, table


def test_the_most_that_a_job_of_a_rule_asks_for_is_shown():
    jobs = [
        ("evaluate", {"threads": 8, "mem_mb": 9000, "gpu": 1, "runtime": 60, "tmpdir": "?"}),
        ("evaluate", {"threads": 2, "mem_mb": 12500}),
    ]
    assert table({"evaluate": 2, "report": 1, "total": 3}, most(jobs)).splitlines() == [
        "Job stats:",
        "job       count  threads   memory  GPUs  minutes",
        "--------  -----  -------  -------  ----  -------",
        "evaluate      2        8  12.5 GB     1       60",
        "report        1",
        "total         3",
    ]


def test_it_stands_in_the_place_of_snakemakes_table_alone():
    logger, screen = logging.Logger("snakemake"), io.StringIO()
    logger.addHandler(logging.StreamHandler(screen))
    logger.addFilter(ShowAsked(lambda: {"corpus": {"threads": 1, "mem_mb": 8000, "gpu": 0, "runtime": 10}}))
    logger.info("job count\ncorpus 1", extra={"event": "run_info", "stats": {"corpus": 1, "total": 1}})
    logger.info("something else", extra={"event": None})
    assert "corpus      1        1    8 GB             10" in screen.getvalue()
    assert "job count" not in screen.getvalue() and screen.getvalue().endswith("something else\n")
