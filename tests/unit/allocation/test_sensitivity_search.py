"""The sensitivity search against a whole forward pass of a model with one truncated group, for every group and kept ratio."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

from drank.allocation import sensitivity_search as sensitivity
from drank.models.families import projections_of
from drank.models.weights import Checkpoint
from drank.runtime.finite import NonFiniteError
from drank.spectra.spectrum import decompose_model

RATIOS = ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"]

CONFIGS = {
    "llama": LlamaConfig(
        vocab_size=61,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
    ),
    "gpt2": GPT2Config(
        vocab_size=61, n_embd=16, n_layer=3, n_head=4, n_positions=32, initializer_range=0.3, bos_token_id=0, eos_token_id=0
    ),
}


class Bed:
    """A random dense model, its checkpoint, and for every group the exact factors of a two-sided weighting, in float64."""

    def __init__(self, name, group, folder, monkeypatch):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.model = AutoModelForCausalLM.from_config(CONFIGS[name]).eval()
        self.model.save_pretrained(folder)
        self.checkpoint = Checkpoint(folder)
        self.shapes = self.checkpoint.shapes(group)
        self.windows = torch.randint(0, 61, (5, 12), generator=torch.Generator().manual_seed(1))
        self.bases = {}
        generator = torch.Generator().manual_seed(2)
        for shape in self.shapes:
            scales = 0.5 + torch.rand(shape.width, generator=generator, dtype=torch.float64)
            right = torch.linalg.svd(self.checkpoint.group_matrix(shape) * scales, full_matrices=False).Vh
            self.bases[shape.name] = (right / scales, right * scales)
        monkeypatch.setattr(sensitivity, "read_summary", lambda _: (self.shapes, {}))
        monkeypatch.setattr(sensitivity, "read_bases", self.read)

    def read(self, _directory, ranks):
        return {name: tuple(part[:rank].float() for part in self.bases[name]) for name, rank in ranks.items()}

    def search(self, batch=2):
        return sensitivity.search(self.model, self.checkpoint, "spectra", self.windows, batch)


@pytest.fixture
def bed(tmp_path, monkeypatch):
    return lambda name="llama", group=1: Bed(name, group, tmp_path / "model", monkeypatch)


def perplexity(model, windows):
    with torch.no_grad():
        logits = model.double()(windows).logits[:, :-1]
    return math.exp(torch.nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten()).item())


@pytest.mark.parametrize(("name", "group"), [("llama", 1), ("llama", 2), ("gpt2", 2)])
def test_every_value_is_the_perplexity_of_a_model_with_that_group_truncated(bed, name, group):
    """Groups of two leave one of one behind in three layers; the roles that share no basis stay alone."""
    it = bed(name, group)
    found = it.search()
    assert {name: list(table) for name, table in found.items()} == {shape.name: RATIOS for shape in it.shapes}
    assert {len(shape.layers) for shape in it.shapes} == ({1} if group == 1 else {1, 2})
    for shape in it.shapes:
        matrix, (coefficients, duals) = it.checkpoint.group_matrix(shape), it.bases[shape.name]
        for tenths in range(1, 10):
            rank = max(1, tenths * shape.dense_parameters // (10 * shape.cost))
            truncated = matrix @ duals[:rank].T @ coefficients[:rank]
            twin = copy.deepcopy(it.model)
            for layer, projection, module in projections_of(twin):
                if projection.role == shape.role and layer in shape.layers:
                    block = truncated.split(shape.columns, dim=1)[shape.layers.index(layer)]
                    module.weight.data = block if name == "gpt2" else block.T
            assert found[shape.name][f"0.{tenths}"] == pytest.approx(perplexity(twin, it.windows), rel=2e-4), (shape.name, tenths)
    dense = perplexity(copy.deepcopy(it.model), it.windows)
    spread = [abs(math.log(value / dense)) for table in found.values() for value in table.values()]
    assert max(spread) > 0.05, "truncation must show, or this test compares nothing"


def test_batches_do_not_matter(bed):
    it = bed()
    one, all_at_once = it.search(1), it.search(8)
    for name, table in one.items():
        assert table == pytest.approx(all_at_once[name], rel=1e-5)


def test_the_model_is_as_before(bed):
    it = bed(group=2)
    before = copy.deepcopy(it.model.state_dict())
    logits = it.model(it.windows).logits
    it.search()
    assert all(torch.equal(value, before[name]) for name, value in it.model.state_dict().items())
    assert torch.equal(it.model(it.windows).logits, logits)


def test_blocks_before_a_group_are_not_run_again(bed):
    it = bed()
    runs = [0, 0, 0]
    for layer, projection, module in projections_of(it.model):
        if projection.role == "q":
            module.register_forward_pre_hook(lambda *_, layer=layer: runs.__setitem__(layer, runs[layer] + 1))
    it.search(batch=5)
    assert runs == [1 + 9 * 7, 1 + 9 * 14, 9 * 21]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_basis_that_is_not_finite_names_group_and_ratio_and_leaves_the_model_whole(bed, value):
    it = bed()
    before = copy.deepcopy(it.model.state_dict())
    coefficients, _ = it.bases["up.01"]
    coefficients[4, 3] = value  # of rank 5 on, half of the break-even rank
    with pytest.raises(NonFiniteError, match=r"group up\.01 alone, truncated to 0\.6 of its parameters: layer 1: .*float32"):
        it.search()
    assert all(torch.equal(tensor, before[name]) for name, tensor in it.model.state_dict().items())


def test_a_loss_too_large_for_a_perplexity_is_an_error(bed):
    it = bed()
    it.model.lm_head.weight.data *= 1e4
    with pytest.raises(NonFiniteError, match=r"group q\.00 alone, truncated to 0\.1 of its parameters: the loss per token is \d+.*float32"):
        it.search()


def test_truncations_of_a_written_spectrum_are_the_best_of_their_ranks(tmp_path):
    """Plain SVD, read from the files that `decompose_model` writes."""
    AutoModelForCausalLM.from_config(CONFIGS["llama"]).save_pretrained(tmp_path / "model")
    checkpoint = Checkpoint(tmp_path / "model")
    decompose_model(checkpoint, tmp_path / "spectra", moments=tmp_path, weighting="identity", group=2, facts={})
    shape = next(shape for shape in checkpoint.shapes(2) if shape.name == "up.00-01")
    u, s, vh = torch.linalg.svd(checkpoint.group_matrix(shape), full_matrices=False)
    found = list(sensitivity.truncations(checkpoint, shape, tmp_path / "spectra", torch.device("cpu")))
    ranks = [tenths * 16 * 48 // (10 * (16 + 48)) for tenths in range(1, 10)]
    for rank, product in zip(ranks, found, strict=True):
        best = u[:, : max(1, rank)] * s[: max(1, rank)] @ vh[: max(1, rank)]
        torch.testing.assert_close(product, best, rtol=0, atol=1e-6 * float(s[0]))
