"""On PYTHONPATH: steps that are not told that their run is gone, and that take DRANK_TEST_SLOW seconds more for each layer they finish."""

import os
import threading
import time
from pathlib import Path

_start, _replace = threading.Thread.start, os.replace


def start(thread):
    if thread.name != "end with run":
        _start(thread)


def replace(source, target, **where):
    if Path(target).name.startswith("layer-"):
        time.sleep(float(os.environ["DRANK_TEST_SLOW"]))
    _replace(source, target, **where)


threading.Thread.start, os.replace = start, replace
