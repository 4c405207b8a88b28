"""What of drank's own code the steps hang on, and what of it they do not."""

import pytest

from drank.runtime.codehash import PROJECT, WITHOUT_EFFECT, reached


def reached_by(*scripts):
    """The definitions of drank that scripts can run, by module."""
    found = {}
    for node in reached(*(PROJECT / f"workflow/scripts/{script}.py" for script in scripts)).nodes:
        found.setdefault(node.module, set()).add(node.name)
    return {module: names - {""} for module, names in found.items()}


def test_measuring_does_not_hang_on_how_a_model_was_made():
    """An edit of calibration, allocation or compression must not measure the dense model again."""
    for script in ("evaluate", "throughput"):
        found = {module for module, names in reached_by(script).items() if names}
        made = ("drank.calibration.", "drank.spectra.", "drank.allocation.allocate", "drank.allocation.filling", "drank.methods")
        assert [module for module in found if module.startswith(made)] == []
        assert [module for module in found if module.startswith("drank.compression.")] == ["drank.compression.making"]


def test_the_numbers_on_cards_hang_on_what_writes_them_and_no_model_does():
    numbers = {"drank.models.card.updating", "drank.models.card.numbers", "drank.models.card.markdown"}
    assert all(reached_by("cards").get(module) for module in numbers)
    assert not any(reached_by("compress", "evaluate").get(module) for module in numbers)


@pytest.mark.parametrize("script", ["compress", "evaluate", "throughput"])
def test_the_layers_of_a_compressed_model_are_code_of_what_makes_and_of_what_runs_it(script):
    assert {"LowRankLinear", "PivotedLinear"} <= reached_by(script)["drank.models.lowrank"]


def test_only_the_runtime_and_what_registers_publishes_and_goes_along_with_a_model_counts_as_no_code():
    """A module that computes and stood there would change results without making any anew."""
    apart = {module for module in WITHOUT_EFFECT if not module.startswith("drank.runtime.")}
    assert apart == {"drank.models.registration", "drank.models.publishing", "drank.models.card.writing", "drank.models.carried"}
    assert all((PROJECT / f"{module.replace('.', '/')}.py").is_file() for module in WITHOUT_EFFECT)


def test_the_table_of_families_is_no_part_of_any_step():
    scripts = [path.stem for path in (PROJECT / "workflow/scripts").glob("*.py")]
    assert "FAMILIES" not in reached_by(*scripts)["drank.models.families.entries"]


def test_tables_do_not_reach_what_computes_with_tensors():
    found = reached_by("artefact", "summary")
    assert {"drank.reporting.comparisons", "drank.reporting.records"} <= found.keys()
    apart = ("drank.calibration.", "drank.spectra.", "drank.models.lowrank", "drank.evaluation.perplexity", "drank.testbed.training")
    names = {"drank.spectra.weightings", "drank.calibration.passes"}  # modules of names
    used = {module for module, reached in found.items() if reached} - names
    assert not [module for module in used if module.startswith(apart)]
