"""The numbers of the paper of D-Rank (arXiv:2509.25622v2, October 2025), and what a configuration calls what they are about.

`d_rank.csv` holds tables 1 to 8, of figure 4 the throughput that the text gives and of figure 5 what is told of seed 13, as they are
printed: the same cell differs between tables, and the dense row of table 3 gives .47 as the average of accuracies whose mean is .516.
Accuracies are fractions. Left out are what ran out of memory (FWSVD at 13B and 30B in table 7) and what is only drawn. What the paper's
protocol says is filled in: n = 2 for LLaMA-7B, 1 for D-Rank on LLaMA-3-8B, WikiText-2 as calibration. A cell is empty where the paper
does not say: the β of tables 3, 4, 6, 7 and 8, the draws of all tables, and whether figure 4 is of prefill or of decoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from drank.corpora.beginnings import AUTO, NONE, TEXT

COLUMNS = {
    **dict.fromkeys(("artefact", "model", "method", "corpus", "dataset", "metric"), "str"),
    **dict.fromkeys(("ratio", "beta", "value"), "float64"),
    **dict.fromkeys(("group", "draw", "layer"), "Int64"),
}
"""The columns of the published numbers with their dtypes; `layer` is the group of layers that table 1 is about, from 1 on."""

WINDOWS, LENGTH = 256, 2048
"""The windows of the paper's calibration, and the tokens in one, which are those of its perplexities too."""

CORPORA = {
    "wikitext2": ("salesforce/wikitext", "wikitext-2-raw-v1"),
    "ptb": ("ptb-text-only/ptb_text_only", None),
    "c4": ("allenai/c4", None),
}
"""The hub's repository of each text in small letters, and its subset where it has others."""

TASKS = ("openbookqa", "arc_easy", "winogrande", "hellaswag", "arc_challenge", "piqa", "mathqa")
"""The tasks as the harness calls them."""

KINDS = ("q", "k", "v")
"""The projections of table 1."""

Words = dict[str, list[str]]
"""What a configuration calls something, by what `d_rank.csv` calls it."""


@cache
def published() -> pd.DataFrame:
    """All numbers of the paper, in `COLUMNS`: a model by its id on the hub, a text or a task by the names of this module."""
    frame = pd.read_csv(Path(__file__).with_name("d_rank.csv"), dtype="str", keep_default_na=False)
    numbers = [column for column, kind in COLUMNS.items() if kind != "str"]
    return frame.assign(**{column: pd.to_numeric(frame[column]).astype(COLUMNS[column]) for column in numbers})


def published_for(config: Mapping[str, Any]) -> pd.DataFrame:
    """The numbers of the paper that are about the models, texts and tasks of a configuration, by its labels: `COLUMNS`.

    A model is the paper's by its id on the hub, a text by repository and subset, a task by the harness's name where it is asked without
    examples. The average is the paper's where the tasks are its seven, a perplexity where it is of the whole test text in windows of its
    length that begin as published, an accuracy where it is of all items.
    """
    texts, tasks = _texts(config["corpora"]), _tasks(config["tasks"])
    asked = set(config.get("zeroshot", {}).get("tasks", []))
    theirs = [asked.intersection(labels) for labels in tasks.values()]
    average: Words = {"average": ["average"]} if all(theirs) and len(asked) == len(TASKS) else {}
    frame = published()
    measured = config.get("perplexity", {})
    if (measured.get("length"), measured.get("windows"), measured.get("split", "test")) != (LENGTH, None, "test") or not begun(measured):
        frame = frame[frame["metric"] != "perplexity"]
    if config.get("zeroshot", {}).get("limit") or config.get("zeroshot", {}).get("bos") == NONE:
        frame = frame[frame["metric"] != "accuracy"]
    frame = _in_words(frame, "model", _models(config["models"]))
    frame = _in_words(frame, "corpus", texts | {"": [""]})
    return _in_words(frame, "dataset", texts | tasks | average | {kind: [kind] for kind in (*KINDS, "")}).reset_index(drop=True)


def begun(section: Mapping[str, Any]) -> bool:
    """Whether windows begin as those of the paper, whose models all are of families that `auto` reads so."""
    return section.get("bos", AUTO) in (AUTO, TEXT)


def _in_words(frame: pd.DataFrame, column: str, words: Mapping[str, list[str]]) -> pd.DataFrame:
    """The rows with the labels of a configuration in one column, one for each label; without those for which it has none."""
    labels = frame[column].map(lambda name: words.get(name, []))
    return frame.assign(**{column: labels}).explode(column).dropna(subset=[column]).astype({column: "str"})


def _models(models: Mapping[str, Mapping[str, Any]]) -> Words:
    ids = published()["model"].unique()
    return {name: [label for label, source in models.items() if str(source.get("hub")).lower() == name.lower()] for name in ids}


def _texts(corpora: Mapping[str, Mapping[str, Any]]) -> Words:
    def is_text(source: Mapping[str, Any], repository: str, subset: str | None) -> bool:
        return str(source.get("hub")).lower() == repository and (subset is None or source.get("subset") == subset)

    return {name: [label for label, source in corpora.items() if is_text(source, *place)] for name, place in CORPORA.items()}


def _tasks(tasks: Mapping[str, Mapping[str, Any]]) -> Words:
    return {name: [label for label, task in tasks.items() if task.get("harness") == name and not task.get("fewshot")] for name in TASKS}
