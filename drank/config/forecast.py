"""How long the jobs of a run will take, roughly: from the sizes of models and texts.

A forecast, not a measurement: products of matrices at the speed of a common processor core or GPU, and for each job what starting Python
and its libraries takes. Within a factor of two or three; what a run says while it goes is corrected by how far it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from drank.calibration.passes import WINDOWS
from drank.config.resolved import calibration_options, gradient_options, methods_for, search_options, shards_of
from drank.config.sizes import Sizes, sizes_for
from drank.config.task_sizes import TaskSize
from drank.evaluation.execution import VLLM
from drank.methods import Method
from drank.methods.method import COMPENSATING

START, LIGHT, ENGINE = 5.0, 3.0, 40.0
"""Seconds to start a job that loads a model, one that does not, and vLLM with a model."""

if TYPE_CHECKING:
    from drank.config.artefacts import Runs

PART = "_part"
"""Ends the name of a rule whose jobs do a share each of what the rule of that name adds up."""

KNOWN = {"train": 6000.0}
"""Seconds of rules whose work is always the same: an embedded model is trained in 97 minutes on one core."""

CORE_SPEED, GPU_SPEED = 2e10, 2e13
"""Multiplications a second that a thread, or a GPU, is taken to do in float32."""

UNKNOWN_TEXT, STEP = 250_000, 32
"""Tokens of a text read whole, and those that are read while one more is written after some prompts."""


def forecast(
    config: Mapping[str, Any],
    jobs: Iterable[tuple[int, str, Mapping[str, str]]],
    processes: bool = True,
    sizes: Mapping[str, Sizes] | None = None,
    runs: Runs | None = None,
    speed: float | None = None,
) -> dict[int, float]:
    """The seconds that each job, given as number, rule and wildcards, is expected to take when it runs alone.

    `processes` says whether each is one of its own, which has to start first; `sizes` are those of the models where these are not here,
    `runs` those of the configuration: with them each job takes what its own run asks for. `speed` is that of a core where it is known.

    Raises SourceError for a hub model that is not here yet and that a job names, CheckpointError for one whose files are not whole.
    """
    compute = config["compute"]
    gpu = compute["device"].startswith("cuda") or (compute["device"] == "auto" and compute["gpus"])
    rate = GPU_SPEED if gpu else (speed or CORE_SPEED) * compute["threads"]
    jobs = list(jobs)
    sizes = sizes or sizes_for(config, jobs)
    methods = runs.methods if runs else {model: methods_for(config, model) for model in config["models"]}
    start = (START, LIGHT) if processes else (0.3, 0.1)
    return {
        number: _seconds(runs.as_asked(config, names) if runs else config, rule, names, sizes, methods, rate, start)
        for number, rule, names in jobs
    }


def _seconds(
    config: Mapping[str, Any],
    rule: str,
    names: Mapping[str, str],
    sizes: Mapping[str, Sizes],
    methods: Mapping[str, Mapping[str, Method]],
    rate: float,
    start: tuple[float, float],
) -> float:
    step = rule.removesuffix(PART)
    shards = shards_of(config).get(step, 1)
    whole = names.get("labels") == WINDOWS  # what is no sum is made by one job
    if step not in WORK or (shards > 1 and step == rule and not whole):  # which then adds parts
        return KNOWN.get(rule, start[1])
    size, known = sizes[names["model"]], methods[names["model"]]
    method = known.get(names.get("method", ""))
    if method is not None and "ratio" in names:
        method = method.at(float(names["ratio"]))
        size = size.of_checkpoint(method.checkpoint) if method.checkpoint else size
    return start[0] + WORK[step](config, size, method, len(known), names.get("labels", "sampled")) / (1 if whole else shards) / rate


def _tokens(options: Mapping[str, Any], windows: str = "windows") -> float:
    return float(options.get(windows, 0) * options.get("length", 0))


def _calibrate(config: Mapping[str, Any], size: Sizes, *_: Any) -> float:
    tokens = _tokens(calibration_options(config))
    return size.forward(tokens) + size.moments(tokens)


def _gradients(config: Mapping[str, Any], size: Sizes, _method: Method | None = None, _methods: int = 0, labels: str = "sampled") -> float:
    options = gradient_options(config, labels)
    tokens = _tokens(options, "gradient_windows")
    fits = size.fits(options.get("gradient_windows", 0)) if labels == WINDOWS else 0
    return 6 * size.forward(tokens) + size.moments(tokens) + fits


def _spectrum(_config: Mapping[str, Any], size: Sizes, *_: Any) -> float:
    return size.spectra()


def _relinearise(config: Mapping[str, Any], size: Sizes, method: Method | None, *_: Any) -> float:
    again = _calibrate(config, size) + _gradients(config, size) + size.spectra()
    return again * (method.steps - 1 if method else 1)


def _search(config: Mapping[str, Any], size: Sizes, *_: Any) -> float:
    groups = sum(count for *_, count in size.projections)
    return 9 * groups * size.forward(_tokens(search_options(config))) / 2


def _choose(config: Mapping[str, Any], size: Sizes, *_: Any) -> float:
    return 11 * size.forward(_tokens(search_options(config)))


def _compress(config: Mapping[str, Any], size: Sizes, method: Method | None, *_: Any) -> float:
    if method is None:
        return 0.0
    tokens = _tokens(calibration_options(config))
    once = size.forward(tokens) + size.moments(tokens)
    refit = {"anchored": 4, "compensated": 3, "in-order": 2, "at-once": 1}[method.refit] * once if method.refit_from is not None else 0.0
    refit += size.spectra() if method.refit_from is not None and method.refit == "anchored" else 0.0  # every target is decomposed
    told = method.refit_from is not None and method.refit in COMPENSATING  # the dense model's last states, for corrections
    passes = 4 * method.corrections + (method.corrections > 0 and not told)  # 2 forward, and backward twice one
    epochs = config["finetune"]["epochs"] if method.finetune_from is not None else 0
    return refit + (passes + 3 * epochs) * size.forward(tokens)


def _round(_config: Mapping[str, Any], size: Sizes, *_: Any) -> float:
    return 100.0 * size.parameters


def _evaluate(config: Mapping[str, Any], size: Sizes, method: Method | None = None, *_: Any) -> float:
    text, tasks = config["perplexity"], config["zeroshot"]
    read = len(text["corpora"]) * text_tokens(text)
    answers = TaskSize.of([config["tasks"][task] for task in tasks["tasks"]], tasks["limit"], tasks["batch"])
    compared = text["to_dense"] and method is not None and (method.compresses or method.checkpoint)
    beside = read * size.width * size.vocabulary if compared else 0  # the dense model's head
    written = len(text["corpora"]) * _written(text["continuations"], size) + answers.steps * size.forward(max(STEP, tasks["batch"]))
    fitted = _overfitting(config, size) if text["corpora"] and method is not None and method.reads_calibration else 0
    return beside + written + fitted + size.forward(read + answers.read)


def _written(continuations: Mapping[str, int], size: Sizes) -> float:
    """What it takes to go on after prompts, token by token: a step moves all weights, as much work as `STEP` tokens of a text."""
    return (continuations["tokens"] if continuations["prompts"] else 0) * size.forward(max(STEP, continuations["prompts"]))


def _overfitting(config: Mapping[str, Any], size: Sizes, *_: Any) -> float:
    return size.forward(2 * config["perplexity"]["overfitting"] * config.get("calibration", {}).get("length", 0))


def _reference(config: Mapping[str, Any], size: Sizes, *_: Any) -> float:
    return size.forward(text_tokens(config["perplexity"]))


def text_tokens(perplexity: Mapping[str, Any]) -> int:
    """The tokens that are measured of one text, by a section `perplexity`; of a text that is read whole a guess."""
    return perplexity["windows"] * perplexity["length"] if perplexity["windows"] else UNKNOWN_TEXT


def _throughput(config: Mapping[str, Any], size: Sizes, _method: Method | None, methods: int, *_: Any) -> float:
    timed = config["throughput"]
    step = size.forward(timed["batch"] * timed["prompt"]) + timed["generate"] * size.forward(8 * timed["batch"])
    starting = ENGINE * CORE_SPEED if timed["engine"] == VLLM else 0.0
    return (methods + 1) * (starting + len(timed["variants"]) * (timed["repeats"] + 3) * step)  # three rounds that do not count come first


WORK: dict[str, Callable[..., float]] = {
    "calibrate": _calibrate,
    "gradients": _gradients,
    "spectrum": _spectrum,
    "slopes": _spectrum,
    "sensitivity": _search,
    "selection": _choose,
    "relinearise": _relinearise,
    "compress": _compress,
    "round": _round,
    "reference": _reference,
    "overfitting": _overfitting,
    **dict.fromkeys(("evaluate", "evaluate_texts", "evaluate_tasks"), _evaluate),
    "throughput": _throughput,
}
"""The multiplications of each rule's job."""


def wall(expected: Mapping[int, float], alone: Iterable[int], at_once: int) -> float:
    """How long jobs take together, so many at once but for those that run alone."""
    apart = sum(expected[job] for job in alone)
    return apart + (sum(expected.values()) - apart) / max(at_once, 1)
