import argparse
import json
import sys

import pandas as pd
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.l_rank import main, model_at, names, sizes_up_to, sources
from benchmarks.l_rank_lab import Job
from benchmarks.l_rank_prediction import curvature, figure, scores_of
from benchmarks.l_rank_rows import ABLATION, FIRST, FULL, OVER_CORPORA, OVER_WINDOWS, ROWS, STORAGE
from benchmarks.l_rank_tables import Found, Line, gap_table
from drank.calibration.losses import sampled_loss
from drank.config.method_entries import EVERY_KIND
from drank.evaluation.losses import WindowLosses
from drank.methods import METHODS
from drank.models.families import projections_of
from drank.models.lowrank import matrix_of

TOKENS = [9] * 6


def losses(*extra):
    """Those of a model that lies above the dense one by so much per token on corpora a and b."""
    bases = (1, 2, 4) * 2
    return {name: WindowLosses([9 * (base + more) for base in bases], TOKENS) for name, more in zip(("a", "b"), extra, strict=True)}


def test_every_row_has_a_name_of_its_own_and_applies_to_llama():
    every = [row for block in (*STORAGE, *ABLATION) for row in block]
    assert all(ROWS[row.name].method == row.method for row in every), "one name, one method"
    assert {FIRST, FULL, *OVER_CORPORA, *OVER_WINDOWS} <= set(ROWS)
    assert ROWS[FULL].method == METHODS["l-rank"]
    for row in ROWS.values():
        assert row.method.refusal(EVERY_KIND, 8) is None, row.name


def test_a_table_has_gaps_and_paired_differences():
    dense, full, other = losses(0, 0), losses(0.1, 0.2), losses(0.3, 0.1)
    job = Job("plain", 0.4, "a", 8)
    block = [
        Line(("L-Rank",), (Found(job, full, full), Found(job, None, None))),
        Line(("other",), (Found(job, other, full), Found(job, other, full))),
        Line(("nothing",), (Found(job, None), Found(job, None))),
    ]
    table = gap_table("ablation", "toy", "Gaps.", ("Row",), ("20 %", "40 %"), [block, []], dense, best=True)
    (rows,) = table.blocks
    assert [[cell.text for cell in row] for row in rows] == [
        ["L-Rank", "0.100", "0.200", "–", "–"],
        ["other", "0.300", "0.100", "0.300", "0.100"],
    ]
    assert [[cell.bold for cell in row] for row in rows] == [[False, True, False, False, False], [False, False, True, True, True]]
    assert rows[0][1].small == "" and rows[1][1].small == "[+0.200, +0.200]"
    assert len(table.frame) == 6
    row = table.frame[table.frame["corpus"] == "b"].iloc[1]
    assert row["gap"] == pytest.approx(0.1) and row["difference_high"] == pytest.approx(-0.1) and row["windows"] == 8
    assert "\\bottomrule" in table.to_latex()


def test_scores_are_derivatives_along_components():
    config = LlamaConfig(
        vocab_size=11, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).eval()
    windows = torch.randint(11, (3, 6))
    modules = {f"{projection.role}.{layer:02d}": module for layer, projection, module in projections_of(model)}
    bases = {name: tuple(torch.randn(2, 3, module.out_features)) for name, module in modules.items()}
    found = scores_of(model, windows, bases, seed=5)
    model.requires_grad_(True)
    for number, ids in enumerate(windows):
        model.zero_grad()
        sampled_loss(5)(number, model(ids[None]).logits[0, :-1], ids).sum().backward()
        for name, (coefficients, duals) in bases.items():
            gradient, basis = modules[name].weight.grad.mT, matrix_of(modules[name]).detach() @ duals.mT
            wanted = (basis * (gradient @ coefficients.mT)).sum(0).double()
            assert torch.allclose(found[name][number], wanted, rtol=1e-4, atol=1e-6), name


def test_curvatures_add_up_apart_and_together():
    scores = {"q.00": torch.tensor([[7.0, 1.0], [7.0, -1.0]]).double(), "o.00": torch.tensor([[2.0], [-2.0]]).double()}
    energies = {"q.00": torch.tensor([5.0, 3.0]), "o.00": torch.tensor([1.0])}
    found = curvature(scores, energies, {"q.00": 1, "o.00": 0}, predicted=5)
    assert found == pytest.approx((2.0, 0.5, 0.9, 0.0))
    assert curvature(scores, energies, {}, predicted=5) == (0, 0, 0, 0)


def test_the_figure_draws_every_column():
    frame = pd.DataFrame({"ratio": [0.1, 0.2], "kronecker": [0.1, 0.2], "exact": [0.1, 0.2], "joint": [0.1, 0.5]})
    frame = frame.assign(joint_error=0.1, divergence=0.3, calibration=[-0.1, 0.3], **{"evaluated a": 0.4})
    assert [len(axes.lines) for axes in figure(frame).figure.axes] == [6, 6]


def test_what_the_command_line_says():
    assert sizes_up_to(128, 10**6, 256) == [2, 4, 8, 16, 32, 64, 128, 256]
    assert sizes_up_to(4, 1000, 256) == [2, 4]
    assert sources(["mine=a.txt,b.txt"])["mine"].place == {"files": {"test": "a.txt", "train": "b.txt"}}
    assert names(["a", "b", "c"], "c,a") == ["a", "c"]
    with pytest.raises(argparse.ArgumentTypeError, match="unknown: x; known: a, b"):
        names(["a", "b"], "x")
    with pytest.raises(ValueError, match="form NAME=TEST"):
        sources(["a.txt"])
    with pytest.raises(ValueError, match=r"config\.json"):
        model_at("nothing-here")


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Run the benchmark on little text with these arguments."""
    for split in ("test", "train"):
        (tmp_path / f"{split}.txt").write_text(f"A {split} of what is written about rows and columns, again and again.\n\n" * 40)
    few = ["--windows", "4", "--length", "16", "--evaluated", "2", "--device", "cpu", "--out", str(tmp_path / "out")]

    def run(*asked):
        monkeypatch.setattr(sys, "argv", ["l_rank", "--corpus", f"text={tmp_path / 'test.txt'},{tmp_path / 'train.txt'}", *few, *asked])
        main()

    return run


def test_methods_of_two_sides_are_measured_with_their_own_passes(ask, tmp_path):
    ask("--parts", "storage", "--rows", "io-svd,gfwsvd", "--stored", "0.4")
    read = {path.name for path in (tmp_path / "out/statistics/text-4").glob("gradients-*")}
    assert read == {"gradients-likeliest", "gradients-windows", "gradients-text"}, "that of the text for the slopes of IO-SVD"


def test_a_folder_of_before_bos_goes_on(ask, tmp_path, capsys):
    ask("--parts", "ablation", "--rows", "svd-llm", "--ratios", "0.4")
    told = tmp_path / "out/settings.json"
    settings = json.loads(told.read_text())
    assert settings.pop("bos") == "text"
    told.write_text(json.dumps(settings))
    ask("--parts", "ablation", "--rows", "svd-llm", "--ratios", "0.4")
    assert "1 measurements, 1 of them made before" in capsys.readouterr().out
    told.write_text(json.dumps(settings | {"bos": "window"}))
    with pytest.raises(ValueError, match="other settings"):
        ask("--parts", "ablation", "--rows", "svd-llm", "--ratios", "0.4")


def test_the_whole_of_it_runs_and_measures_nothing_twice(ask, tmp_path, capsys):
    asked = ["--parts", "ablation,storage", "--rows", "svd-llm,svd-llm-pivoted,l-rank", "--ratios", "0.4", "--stored", "0.2,0.4"]
    ask(*asked)
    assert "6 measurements, 0 of them made before" in capsys.readouterr().out
    ablation, storage = (pd.read_csv(tmp_path / "out" / f"{part}.csv") for part in ("ablation", "storage"))
    assert set(ablation["ratio"]) == {0.4} and set(storage["ratio"]) == {0.2, 0.4}
    assert {"svd-llm", "svd-llm-pivoted", "l-rank"} == set(ablation["row"]) <= set(storage["row"])
    shared = storage.merge(ablation, on=["row", "ratio", "corpus"])
    assert len(shared) == 3 and (shared["gap_x"] == shared["gap_y"]).all()
    ask(*asked)
    assert "6 measurements, 6 of them made before" in capsys.readouterr().out
