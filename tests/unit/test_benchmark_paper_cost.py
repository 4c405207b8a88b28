"""What a run of the paper's models is said to cost: by their shapes, since no test has the models."""

from pathlib import Path

import pytest
import yaml

from benchmarks.paper_cost import PUBLISHED, costs, disk, shape_of, sizes_of
from drank.config import read_schema, with_defaults
from drank.config.forecast import Sizes

ROOT = Path(__file__).parents[2]
MHA, GQA = {"embedded": "docs-mha"}, {"embedded": "docs-gqa"}


@pytest.fixture(scope="module")
def config():
    schema = read_schema(ROOT / "workflow/schemas/config.schema.yaml")
    return with_defaults(yaml.safe_load((ROOT / "config/paper.yaml").read_text("utf-8")), schema)


def test_every_model_of_the_paper_has_its_shape(config):
    assert {source["hub"] for source in config["models"].values()} <= set(PUBLISHED)
    parameters = {name.split("/")[1]: sizes_of(*shape).parameters for name, shape in PUBLISHED.items()}
    assert parameters == {
        **dict.fromkeys(("llama-7b", "Llama-2-7b-hf"), 6_738_415_616),
        "llama-13b": 13_015_864_320,
        "llama-30b": 32_528_943_616,
        "Mistral-7B-v0.1": 7_241_732_096,
        "Meta-Llama-3-8B": 8_030_261_248,
    }


@pytest.mark.parametrize("source", [MHA, GQA], ids=lambda source: source["embedded"])
def test_a_shape_gives_the_projections_that_the_files_hold(source):
    def counted(sizes):
        found = {}
        for rows, columns, count in sizes.projections:
            found[rows, columns] = found.get((rows, columns), 0) + count
        return found

    assert counted(sizes_of(*shape_of(source))) == counted(Sizes.of(source))


@pytest.mark.parametrize(
    ("rule", "bytes_there"),
    [("spectrum", 12_298_562), ("calibrate", 23_938_132), ("gradients", 59_631_008)],
)
def test_disk_is_what_a_run_on_the_test_bed_left(config, rule, bytes_there):
    assert disk(config, sizes_of(*shape_of(MHA)), rule, {}) == pytest.approx(bytes_there, rel=0.015)


def test_a_compressed_model_holds_what_its_budget_leaves(config):
    size = sizes_of(*PUBLISHED["huggyllama/llama-7b"])
    inside = 32 * (4 * 4096**2 + 3 * 4096 * 11008)
    assert disk(config, size, "compress", {"ratio": "0.2"}) == pytest.approx(4 * (size.parameters - 0.2 * inside))
    assert disk(config, size, "compress", {"ratio": "0"}) > 4 * size.parameters
    half = config | {"compute": config["compute"] | {"dtype": "bfloat16"}}
    assert disk(half, size, "compress", {"ratio": "0.2"}) == disk(config, size, "compress", {"ratio": "0.2"}) / 2


def test_a_table_has_a_row_for_each_model_and_their_sum(config):
    shapes = {model: shape_of(source) for model, source in config["models"].items()}
    jobs = [(0, "corpus", {"corpus": "ptb"}), (1, "calibrate", {"model": "llama-7b"}), (2, "calibrate", {"model": "llama-13b"})]
    small = costs(config, jobs, shapes)
    large = costs(config, [*jobs, (3, "gradients", {"model": "llama-7b", "labels": "text"})], shapes)
    assert [row["model"] for row in small] == [*config["models"], "all"]
    by_model = [{row["model"]: row for row in rows} for rows in (small, large)]
    assert [rows["all"]["jobs"] for rows in by_model] == [3, 4]
    assert by_model[0]["all"]["hours"] == pytest.approx(by_model[0]["llama-7b"]["hours"] + by_model[0]["llama-13b"]["hours"])
    assert by_model[0]["llama-13b"]["hours"] > by_model[0]["llama-7b"]["hours"] > by_model[0]["llama-2-7b"]["hours"] == 0
    assert by_model[0]["llama-7b"]["scratch"] == 0 < by_model[1]["llama-7b"]["scratch"] == pytest.approx(283.5, abs=0.1)
    assert by_model[0]["all"]["weights"] == by_model[0]["llama-13b"]["weights"] == pytest.approx(52.1, abs=0.1)
