"""Labels of variants: what they are made of can be told again, and no label of a configuration is one."""

from hypothesis import given
from hypothesis import strategies as st

from drank.variants import base_of, is_variant, said, values_in, variant, without, written

labels = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,12}\Z")
values = st.one_of(st.integers(0, 10**5), st.floats(0.01, 1).map(lambda x: float(f"{x:g}")), st.booleans(), st.none(), labels)


@given(labels, st.dictionaries(st.sampled_from(["group", "beta", "corpus", "draw", "density"]), values))
def test_a_label_tells_its_method_and_values(label, chosen):
    made = variant(label, chosen)
    assert base_of(made) == label
    assert values_in(made) == {axis: written(value) for axis, value in chosen.items()}
    assert is_variant(made) == bool(chosen)


def test_values_are_printed_as_the_field_writes_them():
    assert said(variant("d-rank", {"group": 3, "beta": 0.4, "draw": 42, "corpus": "c4"})) == "n = 3, β = 0.4, draw 42, on c4"
    assert said("d-rank") == ""


def test_a_label_without_some_of_its_axes():
    assert without("d-rank+group=3+draw=42", "draw", "corpus") == "d-rank+group=3"
    assert without("d-rank", "draw") == "d-rank"
