"""Which spectra and backward passes methods read, and what these are called."""

from __future__ import annotations

from drank.config.method_entries import method_of
from drank.methods import METHODS


def test_spectra_are_shared_by_methods_that_see_the_same_matrix():
    assert METHODS["svd-llm"].spectrum == METHODS["random-ranks"].spectrum == METHODS["full-rank"].spectrum == "whitening-n1"
    assert METHODS["basis-sharing"].spectrum == METHODS["d-rank"].spectrum == "whitening-n2"
    assert METHODS["svd"].spectrum == "identity-n1"
    assert METHODS["zs-svd"].spectrum == METHODS["swift-svd"].spectrum == METHODS["optimal"].spectrum == "whitening-n1"
    assert METHODS["gfwsvd"].spectrum == "fitted-fisher-n1" and METHODS["io-svd"].spectrum == "likeliest-fisher-damping0.01-n1"
    assert METHODS["l-rank-scalar"].spectrum == "scalar-fisher-sampled-n1"


def test_a_spectrum_is_named_by_the_options_that_its_weighting_reads_and_by_no_other():
    assert method_of("asvd", {"alpha": 0.25}).spectrum == "absolute-mean-alpha0.25-n1"
    assert method_of("swift-svd", {"mix": 0.25}).spectrum == "whitening-n1"
    assert method_of("io-svd", {"damping": 0.1, "group": 2}).spectrum == "likeliest-fisher-damping0.1-n2"


def test_a_spectrum_names_sampled_labels_where_gradients_are_read_and_only_there():
    assert METHODS["l-rank"].spectrum == "kronecker-fisher-damping0.1-sampled-n1"
    assert method_of("l-rank", {"labels": "text"}).spectrum == "kronecker-fisher-damping0.1-n1"
    assert method_of("mine", {"base": "l-rank", "weighting": "whitening"}).spectrum == "whitening-n1", "nobody reads the labels of its base"
    assert method_of("mine", {"base": "l-rank", "steps": 2, "corrections": 1}).spectrum == METHODS["l-rank"].spectrum


def test_gradients_and_searches_are_asked_for_by_those_who_use_them_alone():
    weighs = {"fwsvd", "gfwsvd", "io-svd", "l-rank", "l-rank-scalar"}
    assert {name for name, method in METHODS.items() if method.weighs_gradients} == weighs
    assert {name for name, method in METHODS.items() if method.reads_gradients} == {*weighs, "zs-svd"}
    assert {name: set(method.needs) for name, method in METHODS.items() if method.needs} == {
        "asvd-search": {"sensitivity"},
        "swift-svd": {"similarities"},
        "zs-svd": {"slopes"},
        "io-svd": {"slopes"},
    }
    assert {name: method.passes for name, method in METHODS.items() if method.passes} == {
        "fwsvd": ("text",),
        "gfwsvd": ("windows",),
        "zs-svd": ("text",),
        "io-svd": ("likeliest", "text"),
        "l-rank": ("sampled",),
        "l-rank-scalar": ("sampled",),
    }
    assert [name for name, method in METHODS.items() if method.chooses] == ["swift-svd"]
    assert not method_of("swift-svd", {"mix": 0.4}).chooses
