"""What each step reads and hands on, against the same computed by hand: a window too few or a basis in another order is another number."""

import math
import shutil

import pytest
import torch
from safetensors.torch import load_file

from drank.allocation.plan import Plan
from drank.config.chain import Chain
from drank.corpora.windows import read_tokens
from drank.methods import METHODS
from drank.models.checkpoint import load_model, load_tokenizer
from drank.models.licence import licence_of
from drank.reporting.records import Record
from drank.runtime.files import read_json
from drank.steps import calibrate, compress, evaluate, gradients
from tests.unit.steps.tiny import COMPUTE, TEXT, places, windows_of


def entering(model, windows, path):
    """What a projection reads, (tokens, d1) in float64."""
    seen = []
    hook = model.get_submodule(path).register_forward_pre_hook(lambda _, args: seen.append(args[0].flatten(0, 1).double()))
    with torch.no_grad():
        model(windows)
    hook.remove()
    return torch.cat(seen)


def test_moments_are_those_of_every_token_of_every_window(made, tmp_path):
    folder, tokens, _ = made
    source = folder / "work/results/sources/tiny.json"
    calibrate.run(tmp_path / "moments", source=source, places=places(folder), tokens=tokens, calibration=TEXT, **COMPUTE, code="x")
    x = entering(load_model(folder / "tiny"), windows_of(tokens), "model.layers.1.mlp.down_proj")
    found = load_file(tmp_path / "moments/layer-001.safetensors")
    name = next(key for key, value in found.items() if value.shape == (24, 24))
    assert torch.allclose(found[name], x.T @ x, rtol=1e-5, atol=1e-6 * len(x))
    assert len(x) == 6 * 16


@pytest.mark.parametrize("count", [6, 2])
def test_gradients_are_those_of_the_first_windows(made, tmp_path, count):
    folder, tokens, _ = made
    source, text = folder / "work/results/sources/tiny.json", {**TEXT, "gradient_windows": count}
    gradients.run(tmp_path / "g", source=source, places=places(folder), tokens=tokens, labels="text", calibration=text, **COMPUTE, code="x")
    model, ids = load_model(folder / "tiny"), windows_of(tokens)[:count]
    logits = model(ids).logits[:, :-1].flatten(0, 1)
    torch.nn.functional.cross_entropy(logits, ids[:, 1:].flatten()).backward()
    expected = model.model.layers[1].self_attn.q_proj.weight.grad.T
    assert torch.allclose(load_file(tmp_path / "g/layer-001.safetensors")["q"], expected, rtol=1e-4, atol=1e-7)


def test_a_model_is_the_best_of_its_ranks_for_what_it_reads(made):
    """‖X(W − BC)‖ of every stored pair is the tail of the singular values of X W, which no other pair of that rank undercuts."""
    folder, tokens, plan = made
    dense, small = load_model(folder / "tiny"), load_model(folder / "out")
    for group in Plan.read(plan).groups:
        if group.shape.kind not in ("q", "down"):
            continue
        path = {"q": "self_attn.q_proj", "down": "mlp.down_proj"}[group.shape.kind]
        paths = [f"model.layers.{layer}.{path}" for layer in group.shape.layers]
        x = [entering(dense, windows_of(tokens), one) for one in paths]
        gram = sum(one.T @ one for one in x)
        values, vectors = torch.linalg.eigh(gram)
        root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
        weights = torch.cat([dense.get_submodule(one).weight.T.double() for one in paths], dim=1)
        pairs = [small.get_submodule(one) for one in paths]
        kept = torch.cat([(pair.coefficients.weight @ pair.basis.weight).T.double() for pair in pairs], dim=1)
        tail = torch.linalg.svdvals(root @ weights)[group.rank :].square().sum()
        assert torch.allclose((root @ (weights - kept)).square().sum(), tail, rtol=1e-3), group.shape.name


@pytest.mark.parametrize("steps", [1, 3])
def test_as_many_corrections_are_made_as_were_asked_for(made, tmp_path, steps, monkeypatch):
    folder, tokens, plan = made
    asked = []
    monkeypatch.setattr(compress, "correct", lambda model, dense, windows, count, batch, work: asked.append((count, windows.shape, batch)))
    chain = Chain("tiny", "svd-llm", METHODS["svd-llm"], "0.4", {"calibration": TEXT})
    data = Plan.read(plan)
    changed = Plan(data.model, data.method, data.ratio, data.settings | {"corrections": steps}, data.groups, data.calibration)
    (tmp_path / "plan.json").write_text(changed.to_json())
    (spectra,) = (folder / "work/results/spectra/tiny").glob("w*")
    files = {"source": folder / "work" / chain.source, "plan": tmp_path / "plan.json", "spectra": spectra, "tokens": tokens}
    compress.run(tmp_path / "out", **files, places=places(folder), calibration=TEXT, **COMPUTE, code="x")
    assert asked == [(steps, (6, 16), 4)]


def test_an_interrupted_model_is_corrected_no_further_and_leaves_nothing_beside_it(made, tmp_path, monkeypatch):
    """It fails where it is saved; the next call takes the corrections as they are."""
    folder, tokens, plan = made
    data = Plan.read(plan)
    changed = Plan(data.model, data.method, data.ratio, data.settings | {"corrections": 2}, data.groups, data.calibration)
    (tmp_path / "plan.json").write_text(changed.to_json())
    (spectra,) = (folder / "work/results/spectra/tiny").glob("w*")
    source = folder / "work" / Chain("tiny", "svd-llm", METHODS["svd-llm"], "0.4", {"calibration": TEXT}).source
    files = {"source": source, "plan": tmp_path / "plan.json", "spectra": spectra, "tokens": tokens}
    (tmp_path / "models").mkdir()

    def call(name: str):
        return compress.run(tmp_path / "models" / name, **files, places=places(folder), calibration=TEXT, **COMPUTE, code="x")

    def full(*_args, **_options):
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(compress, "save", full)
        with pytest.raises(OSError, match="the disk is full"):
            call("out")
    with monkeypatch.context() as patched:
        patched.setattr("drank.compression.passes.leave_gradients", lambda *_args: pytest.fail("differentiated again"))
        model = call("out")
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["out"]
    assert not {"work", "result"} & {path.name for path in (tmp_path / "models/out").iterdir()}
    whole = call("whole").state_dict()
    assert all(torch.equal(value, whole[name]) for name, value in model.state_dict().items())
    assert model.name_or_path == str((tmp_path / "models/out").resolve())


def test_perplexity_is_that_of_the_first_windows_by_hand(made, tmp_path):
    folder, tokens, _ = made
    options = {"length": 20, "windows": 3, "batch": 2}
    names = {"model": "tiny", "method": "dense", "ratio": "0"}
    outputs, dense = {"perplexity": tmp_path / "p.json"}, METHODS["dense"].settings()
    measured = {"perplexity": options, "zeroshot": {}, "dense": dense, "places": places(folder)}
    evaluate.run(outputs, names=names, model=folder / "work/results/sources/tiny.json", tokens=[tokens], **measured, **COMPUTE)
    ids, model = read_tokens(tokens).ids[:60].long().view(3, 20), load_model(folder / "tiny")
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(model(ids).logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    row = next(row for row in Record.read(tmp_path / "p.json").results if row.metric == "perplexity")
    assert math.isclose(row.value, math.exp(loss), rel_tol=1e-5)
    assert row.count == 3 * 19
    assert load_tokenizer(folder / "tiny").name_or_path


def test_a_model_made_of_what_was_read_before_states_the_licence_of_now(made, tmp_path):
    """It is in no key, since it decides no number: neither is the model read again for it, nor calibrated."""
    folder, _, plan = made
    shutil.copytree(folder / "tiny", tmp_path / "tiny")
    (tmp_path / "tiny/README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    results = folder / "work/results"
    (spectra,) = (path.parent for path in (results / "spectra").rglob("summary.json"))
    read = {"source": str(results / "sources/tiny.json"), "places": places(tmp_path), "plan": str(plan), "spectra": str(spectra)}
    compress.run(tmp_path / "out", **read, **COMPUTE, code="x")
    assert read_json(read["source"])["licence"] == "unknown" and licence_of(tmp_path / "out") == "cc-by-nc-4.0"
    assert read_json(tmp_path / "out/making.json")["base"]["licence"] == "cc-by-nc-4.0"
