"""Plans: what they count, and that a file holds all of one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drank.allocation.plan import Plan
from drank.models.groups import Group, Shape

roles = st.sampled_from(["q", "k", "v", "o", "gate", "up", "down"])
sizes = st.integers(1, 5000)


@st.composite
def shapes(draw):
    first, count = draw(st.integers(0, 90)), draw(st.integers(1, 5))
    return Shape(draw(roles), tuple(range(first, first + count)), draw(sizes), draw(sizes))


@st.composite
def groups(draw):
    shape = draw(shapes())
    effective = draw(st.floats(1, shape.max_rank))
    return Group(shape, effective, draw(st.integers(1, shape.max_rank)), draw(st.booleans()))


plans = st.builds(
    Plan,
    model=st.text(min_size=1),
    method=st.text(min_size=1),
    ratio=st.floats(0, 1, exclude_max=True),
    settings=st.dictionaries(st.text(), st.one_of(st.none(), st.integers(), st.text(), st.floats(allow_nan=False, allow_infinity=False))),
    groups=st.lists(groups(), min_size=1, max_size=6, unique_by=lambda group: group.shape.name).map(tuple),
)


@given(plans)
def test_json_round_trip(plan):
    assert Plan.from_json(plan.to_json()) == plan


@given(plans)
def test_json_is_one_line_per_group_with_what_a_reader_wants(plan):
    text = plan.to_json()
    data = json.loads(text)
    assert data["parameters"] == plan.parameters
    assert data["dense_parameters"] == plan.dense_parameters
    assert [row["group"] for row in data["groups"]] == [group.shape.name for group in plan.groups]
    assert sum(line.startswith("  {") for line in text.split("\n")) == len(plan.groups)


@given(shapes())
def test_break_even_is_where_factors_cost_what_the_matrices_do(shape):
    assert shape.break_even * shape.cost == pytest.approx(shape.dense_parameters)
    assert shape.break_even < shape.max_rank or shape.max_rank == 1
    assert shape.dense_parameters == shape.rows * shape.columns * len(shape.layers)


@given(groups())
def test_parameters_of_a_group(group):
    if group.dense:
        assert group.parameters == group.shape.dense_parameters
    else:
        basis, coefficients = group.shape.rows * group.rank, len(group.shape.layers) * group.rank * group.shape.columns
        assert group.parameters == basis + coefficients
        assert group.past_break_even == (group.parameters >= group.shape.dense_parameters)


def test_the_worked_example_of_llama_7b():
    """A pair of Q projections of LLaMA-7B: 4096 x 8192 values, 12288 a rank, break-even at 2730 and two thirds."""
    shape = Shape("q", (2, 3), 4096, 4096)
    assert (shape.name, shape.width, shape.cost, shape.max_rank) == ("q.02-03", 8192, 12288, 4096)
    assert shape.break_even == pytest.approx(8192 / 3)
    assert not Group(shape, 900.0, 2730).past_break_even
    assert Group(shape, 900.0, 2731).past_break_even
    assert Shape("o", (7,), 4096, 4096).name == "o.07"


def test_groups_of_experts_have_the_kind_of_their_role():
    shape = Shape("gate.3", (2, 3), 16, 40)
    assert (shape.kind, shape.name) == ("gate", "gate.3.02-03")
    assert Shape("gate_up", (0,), 16, 40).kind == "gate_up"


def test_a_plan_is_read_from_its_file(tmp_path):
    plan = Plan("docs-mha", "d-rank", 0.2, {"group": 2}, (Group(Shape("q", (0, 1), 8, 8), 3.25, 4),))
    (tmp_path / "plan.json").write_text(plan.to_json())
    assert Plan.read(tmp_path / "plan.json") == plan
    assert plan.parameters == 4 * 24
