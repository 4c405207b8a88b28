"""The licence of a model, as its folder states it."""

import pytest
from huggingface_hub.utils import filter_repo_objects

from drank.models.carried import TOKENIZER_FILES
from drank.models.checkpoint import MODEL_FILES
from drank.models.licence import LICENCE_FILES, POLICY_FILES, licence_of, split_front_matter
from drank.models.sources import MODELS, describe_source


@pytest.mark.parametrize(
    ("files", "licence"),
    [
        ({"README.md": "---\nlicense: llama3.1\n---\n# Model\n", "LICENSE": "MIT License\n"}, "llama3.1"),
        ({"README.md": "---\nlicense: other\nlicense_name: gemma-terms\n---\n"}, "other: gemma-terms"),
        ({"README.md": "---\nlicense: [mit, apache-2.0]\n---\n"}, "other: mit, apache-2.0"),
        ({"README.md": "---\nlicense: [mit]\n---\n"}, "mit"),
        ({"README.md": "# No front matter\n", "LICENSE.txt": "\n\n                   Apache License\n  Version 2.0\n"}, "apache-2.0"),
        ({"README.md": "---\nlicense: [broken\n---\n", "LICENSE": "Terms of Somebody\n"}, "other: Terms of Somebody"),
        ({"LICENSE": ""}, "other: LICENSE"),
        ({"README.md": "---\nlanguage: en\n---\n"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_the_readme_says_it_or_a_licence_file_or_nobody(files, licence, tmp_path):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert licence_of(tmp_path) == licence


def test_a_source_tells_its_licence():
    assert describe_source({"embedded": "docs-mha"}, "tiny")["licence"] == licence_of(MODELS / "docs-mha") == "apache-2.0"


def test_what_states_the_licence_and_what_it_asks_to_pass_on_is_fetched_from_the_hub():
    from drank.config.prefetch import WANTED

    assert {*LICENCE_FILES, *POLICY_FILES} <= set(WANTED) & set(MODEL_FILES)
    assert {*LICENCE_FILES[1:], *POLICY_FILES} <= set(TOKENIZER_FILES)
    for patterns in (WANTED, MODEL_FILES):
        assert list(filter_repo_objects(["USE_POLICY.md", "NOTICE"], allow_patterns=list(patterns))) == ["USE_POLICY.md", "NOTICE"]


@pytest.mark.parametrize("text", ["", "---\n", "---\nnever: ends\n", "text\n---\na: 1\n---\n", "---\n- a\n---\n"])
def test_what_is_no_front_matter_is_text(text):
    assert split_front_matter(text)[0] == {}
