"""Where the rise of the loss that L-Rank predicts parts from the one that is measured, over ratios.

Predicted is ½ Σ λ over the components that a plan drops: per projection, by Kronecker factors. Two better curvatures of the same dropped
parts Δ come from scores: with s_p the derivative of one window's loss, labels sampled, along Δ of projection p, the Fisher matrix of
that projection gives ½ E[s_p²] per window, and that of the whole model ½ E[(Σ_p s_p)²]. The first says what Kronecker factors get wrong,
the difference to the second what is wrong with adding projections up. A component is b c with b = W dᵀ, so that along it the score
is Σ_t (y_t · d)(g_t · c), with y what the projection gives without bias and g the gradient there: only these need be held, for one window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from torch import Tensor, nn
from transformers import PreTrainedModel

from benchmarks.l_rank_calibration import Calibration
from benchmarks.l_rank_lab import Lab, gap
from benchmarks.l_rank_materials import say
from drank.allocation.plan import Plan
from drank.calibration.losses import sampled_loss
from drank.compression.correction import divergence_of, leaving_states
from drank.compression.factors import factors_of
from drank.evaluation.losses import window_losses
from drank.methods import Method
from drank.models.conversion import convert
from drank.models.families import projections_of
from drank.models.forward import removed
from drank.reporting.figures.sheet import Drawn, legend_above, panels, styled
from drank.reporting.figures.style import GREY
from drank.runtime.files import read_json, write_json
from drank.spectra.spectrum import read_bases, read_energies

RATIOS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

LABEL_SEED = 1000
"""Added to the seed of the labels, so that curvatures are not measured with the draws that the spectra are made of."""


class Curvature(NamedTuple):
    """Half the second derivative of the loss per token along what a plan drops, and the standard error of the last."""

    kronecker: float
    exact: float
    joint: float
    joint_error: float


def scores_of(model: PreTrainedModel, windows: Tensor, bases: Mapping[str, tuple[Tensor, Tensor]], seed: int) -> dict[str, Tensor]:
    """The derivative of the summed loss of each window, labels sampled, along every component of every projection.

    `bases` are C and D, (r, d2), by the name of a group of one layer. Gives float64 (windows, r) by that name.
    """
    objective = sampled_loss(seed)
    names = {f"{projection.role}.{layer:02d}": module for layer, projection, module in projections_of(model)}
    scores = {name: torch.zeros(len(windows), len(coefficients), dtype=torch.float64) for name, (coefficients, _) in bases.items()}
    held = {name: tuple(part.to(model.device) for part in both) for name, both in bases.items()}
    model.requires_grad_(False)
    model.enable_input_require_grads()
    for number, ids in enumerate(windows):
        seen: dict[str, Tensor] = {}
        with torch.enable_grad(), removed([names[name].register_forward_hook(_keep(seen, name)) for name in bases]):
            logits = model(input_ids=ids[None].to(model.device), use_cache=False).logits[0, :-1].float()
            loss = objective(number, logits, ids.to(model.device)).sum()
        gradients = torch.autograd.grad(loss, list(seen.values()))
        for (name, output), gradient in zip(seen.items(), gradients, strict=True):
            coefficients, duals = held[name]
            bias = getattr(names[name], "bias", None)
            given = (output.detach() if bias is None else output.detach() - bias).flatten(0, -2).float()
            along = (given @ duals.mT) * (gradient.flatten(0, -2).float() @ coefficients.mT)
            scores[name][number] = along.double().sum(0).cpu()
    model.disable_input_require_grads()
    return scores


def _keep(seen: dict[str, Tensor], name: str) -> Callable[[nn.Module, Any, Tensor], None]:
    def hook(_module: nn.Module, _args: Any, output: Tensor) -> None:
        seen[name] = output

    return hook


def curvature(scores: Mapping[str, Tensor], energies: Mapping[str, Any], ranks: Mapping[str, int], predicted: int) -> Curvature:
    """What `ranks` (those of the groups that are not stored dense) drop, by all three; `predicted` are the predicted tokens of a window."""
    dropped = {name: scores[name][:, rank:].sum(1) for name, rank in ranks.items()}
    together = torch.stack(list(dropped.values())).sum(0).square() if dropped else torch.zeros(1, dtype=torch.float64)
    error = float(together.std()) / math.sqrt(len(together)) if len(together) > 1 else 0.0
    return Curvature(
        0.5 * math.fsum(float(energies[name][rank:].sum()) for name, rank in ranks.items()),
        0.5 * math.fsum(float(one.square().mean()) for one in dropped.values()) / predicted,
        0.5 * float(together.mean()) / predicted,
        0.5 * error / predicted,
    )


def predictions(lab: Lab, calibration: Calibration, method: Method, ratios: Sequence[float]) -> pd.DataFrame:
    """A row for each ratio: the three predictions, KL to the dense model and rise of the loss on the calibration text, rises elsewhere."""
    folder = lab.folder / "prediction" / calibration.folder.name
    paths = {ratio: folder / f"{ratio:g}.json" for ratio in ratios}
    if any(not path.exists() for path in paths.values()):
        _predict(lab, calibration, method, paths)
    columns = ["ratio", *Curvature._fields, "divergence", "calibration", *(f"evaluated {corpus}" for corpus in lab.texts)]
    return pd.DataFrame([{"ratio": ratio, **read_json(path)} for ratio, path in paths.items()], columns=columns)


def _predict(lab: Lab, calibration: Calibration, method: Method, paths: Mapping[float, Path]) -> None:
    """Measure the ratios that have no record yet."""
    spectra, windows = calibration.spectra(method), calibration.windows
    plans = {ratio: calibration.plan(method, ratio, spectra) for ratio in paths}
    energies = read_energies(spectra)
    say("scores of every component")
    bases = read_bases(spectra, {group.shape.name: group.shape.max_rank for group in next(iter(plans.values())).groups})
    dense = lab.model()
    scores = scores_of(dense, windows, bases, lab.settings.seed + LABEL_SEED)
    before = window_losses(dense, list(windows), "the calibration text", lab.batch)
    reference = leaving_states(dense, windows, lab.batch)
    del dense, bases

    def measure(ratio: float, plan: Plan) -> None:
        ranks = {group.shape.name: group.rank for group in plan.groups if not group.dense}
        model = lab.model()
        convert(model, plan.groups, factors_of(lab.checkpoint, plan, spectra))
        losses = lab.losses(model)
        after = window_losses(model, list(windows), "the calibration text", lab.batch)
        found = curvature(scores, energies, ranks, windows.shape[1] - 1)
        row = found._asdict() | {"divergence": divergence_of(model, windows, reference, lab.batch)}
        row["calibration"] = (math.fsum(after.loss) - math.fsum(before.loss)) / sum(after.tokens)
        row |= {f"evaluated {corpus}": gap(losses, lab.dense, corpus) for corpus in losses}
        write_json(paths[ratio], row)
        say(f"prediction at {ratio:g}: " + ", ".join(f"{name} {value:.4f}" for name, value in row.items()))

    for ratio, plan in plans.items():
        if not paths[ratio].exists():
            measure(ratio, plan)


@styled
def figure(frame: pd.DataFrame) -> Drawn:
    """What is predicted and what is measured by ratio, in nats per token, and each over the Kronecker prediction."""
    lines = {
        "kronecker": Line2D([], [], color="#000000", linestyle="--", label="predicted: ½ Σ λ dropped"),
        "exact": Line2D([], [], color="#56B4E9", linestyle="--", marker="v", label="exact curvature, by projection"),
        "joint": Line2D([], [], color="#0072B2", linestyle="--", marker="s", label="exact curvature, all together"),
        "divergence": Line2D([], [], color="#009E73", marker="D", label="KL to dense, calibration text"),
        "calibration": Line2D([], [], color="#D55E00", marker="o", label="rise, calibration text"),
    }
    colors = ("#CC79A7", "#8C6D1F", "#5D3A9B", GREY)
    held_out = [str(name) for name in frame.columns if str(name).startswith("evaluated ")]
    for index, name in enumerate(held_out):
        label = f"rise, {name.removeprefix('evaluated ')}"
        lines[name] = Line2D([], [], color=colors[index % len(colors)], marker="^>hP"[index % 4], label=label)
    drawn, found = panels([["nats per token", "× predicted"]], "page", 2.4)
    for (label, axes), over in zip(found.items(), (pd.Series(1.0, frame.index), frame["kronecker"]), strict=True):
        for name, line in lines.items():
            values = (frame[name] / over).where(frame[name] > 0)  # what falls has no place on a logarithmic axis
            axes.plot(frame["ratio"], values, color=line.get_color(), linestyle=line.get_linestyle(), marker=line.get_marker())
        axes.set_xlabel("share of the parameters removed")
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if label == "× predicted" else (1.0,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel(label)
    legend_above(drawn, list(lines.values()), [str(line.get_label()) for line in lines.values()])
    return Drawn(drawn, "Loss predicted and measured by ratio: in nats per token on the left, over the Kronecker prediction on the right.")
