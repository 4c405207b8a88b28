"""Every method on every family, from calibration to a directory that transformers loads and generates from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from drank.allocators import allocate
from drank.checkpoint import load_model, save
from drank.factors import factors_of, refit
from drank.families import family_of
from drank.lowrank import LowRankLinear, convert
from drank.methods import METHODS, Method
from drank.moments import calibrate, write_moments
from drank.plan import Plan
from drank.sources import Checkpoint
from drank.spectra import read_summary, spectra_of, write_spectra
from drank.stored import size_of

RATIO = 0.3

Compress = Callable[..., tuple[PreTrainedModel, Plan]]


def logits_of(model: PreTrainedModel, tokens: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(tokens, use_cache=False).logits


@pytest.fixture(scope="session")
def windows() -> torch.Tensor:
    return torch.randint(0, 250, (6, 20), generator=torch.Generator().manual_seed(11))


@pytest.fixture(scope="session")
def dense_directory(tiny_model, tiny_tokenizer, tmp_path_factory) -> Callable[[str], Path]:
    """The saved dense model of a family, deep enough for groups of two with one left over."""

    @cache
    def build(family: str) -> Path:
        directory = tmp_path_factory.mktemp(family) / "dense"
        save(tiny_model(family, num_hidden_layers=5, tie_word_embeddings=True), tiny_tokenizer, None, directory)
        return directory

    return build


@pytest.fixture(scope="session")
def spectra(dense_directory, windows) -> Callable[[str, Method], Path]:
    """The spectra that a method reads; a family is calibrated once, methods with one spectrum share it."""

    @cache
    def moments(family: str) -> Path:
        directory = dense_directory(family).parent / "moments"
        write_moments(directory, calibrate(load_model(dense_directory(family)), windows, batch=4), {})
        return directory

    @cache
    def decompose(family: str, weighting: str, group: int) -> Path:
        path = dense_directory(family).parent / f"{weighting}-n{group}.safetensors"
        write_spectra(path, spectra_of(Checkpoint(dense_directory(family)), moments(family), weighting, group), {"model": family})
        return path

    return lambda family, method: decompose(family, method.weighting, method.group)


@pytest.fixture(scope="session")
def compress(dense_directory, spectra, windows) -> Compress:
    """A family's model compressed by a method at a ratio, refitted where the method says so, and its plan."""

    def build(family: str, method: Method, ratio: float) -> tuple[PreTrainedModel, Plan]:
        directory, path = dense_directory(family), spectra(family, method)
        shapes, density = read_summary(path.with_suffix(".json"))
        plan = allocate(shapes, density, ratio, method.settings(), model=family, method=method.title)
        model, checkpoint = load_model(directory), Checkpoint(directory)
        convert(model, plan, factors_of(checkpoint, plan, path))
        if method.refits(ratio):
            refit(model, checkpoint, windows, batch=4)
        return model, plan

    return build


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.compresses and method.budgeted])
def test_the_budget_is_met_in_the_saved_tensors_and_the_model_runs(name, family, compress, tiny_tokenizer, tokens, tmp_path):
    """At 30 % no more than 70 % is stored, and what is left unused is less than one rank of every projection type."""
    model, plan = compress(family, METHODS[name], RATIO)
    save(model, tiny_tokenizer, plan, tmp_path / "model")
    size = size_of(tmp_path / "model")
    unused = sum(max(group.shape.cost for group in plan.groups if group.shape.role == role) for role in family_of(family).roles)
    assert RATIO <= size.ratio_stored < RATIO + unused / plan.dense_parameters
    assert size.ratio_stored == pytest.approx(1 - plan.parameters / plan.dense_parameters)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert torch.equal(logits_of(loaded, tokens), logits_of(model, tokens))
    assert sum(isinstance(module, LowRankLinear) for module in loaded.modules()) == 5 * len(family_of(family).roles)
    written = loaded.generate(tokens[:, :8], max_new_tokens=4, min_new_tokens=4, do_sample=False)
    assert written.shape == (2, 12) and torch.equal(written[:, :8], tokens[:, :8])


@pytest.mark.parametrize("group", [1, 2])
def test_full_rank_equals_dense(family, group, compress, dense_directory, tokens, tmp_path):
    method = replace(METHODS["full-rank"], group=group)
    model, plan = compress(family, method, 0.0)
    assert all(g.rank == g.shape.max_rank for g in plan.groups)
    save(model, None, plan, tmp_path / "model")
    dense = logits_of(load_model(dense_directory(family)), tokens)
    torch.testing.assert_close(logits_of(load_model(tmp_path / "model"), tokens), dense, rtol=1e-4, atol=1e-4)
    assert size_of(tmp_path / "model").ratio_stored < 0, "exact factors hold more than the matrices"


@pytest.mark.parametrize("name", ["basis-sharing", "d-rank"])
def test_refitted_models_are_saved_and_loaded_like_others(name, family, compress, tokens, tmp_path):
    """From ratio 0.4 on, the published setting; below it the coefficients are those of the spectrum."""
    assert not METHODS[name].refits(RATIO) and METHODS[name].refits(0.4)
    fitted, plan = compress(family, METHODS[name], 0.4)
    raw, same = compress(family, replace(METHODS[name], refit_from=None), 0.4)
    assert plan == same
    assert (logits_of(fitted, tokens) - logits_of(raw, tokens)).abs().max() > 1e-4
    save(fitted, None, plan, tmp_path / "model")
    assert size_of(tmp_path / "model").ratio_stored >= 0.4
    assert torch.equal(logits_of(load_model(tmp_path / "model"), tokens), logits_of(fitted, tokens))


def test_groups_past_break_even_can_stay_dense_and_exact(family, compress, dense_directory, tokens, tmp_path):
    method = replace(METHODS["d-rank"], beta=0.45, dense_past_break_even=True)
    model, plan = compress(family, method, 0.1)
    kept = [group for group in plan.groups if group.dense]
    assert kept and {group.shape.role for group in kept} >= {"v"}
    save(model, None, plan, tmp_path / "model")
    assert size_of(tmp_path / "model").ratio_stored >= 0.1
    loaded, dense = load_model(tmp_path / "model"), load_model(dense_directory(family))
    for group in kept:
        for layer in group.shape.layers:
            path = f"{family_of(family).blocks}.{layer}." + next(
                p.path for p in family_of(family).projections if p.role == group.shape.role
            )
            assert torch.equal(loaded.get_submodule(path).weight, dense.get_submodule(path).weight)


def test_calibration_on_a_single_window_shorter_than_the_hidden_size_works(family, dense_directory, tokens, tmp_path):
    """Six tokens for inputs of 16 to 40 dimensions: moments without full rank, for every projection."""
    checkpoint, method = Checkpoint(dense_directory(family)), METHODS["d-rank"]
    write_moments(tmp_path / "moments", calibrate(load_model(dense_directory(family)), tokens[:1, :6]), {})
    found = list(spectra_of(checkpoint, tmp_path / "moments", method.weighting, method.group))
    assert all(int((spectrum.energies > 0).sum()) <= 6 * len(spectrum.shape.layers) for spectrum in found)
    write_spectra(tmp_path / "spectra.safetensors", found, {})
    shapes, density = read_summary(tmp_path / "spectra.json")
    model = load_model(dense_directory(family))
    plan = allocate(shapes, density, RATIO, method.settings(), model=family, method="d-rank")
    convert(model, plan, factors_of(checkpoint, plan, tmp_path / "spectra.safetensors"))
    assert torch.isfinite(logits_of(model, tokens)).all()
