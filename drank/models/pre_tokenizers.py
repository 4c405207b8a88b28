"""How text is split before the merges of a byte-level GGUF file: by llama.cpp's names, of which transformers knows some.

For every other name it takes GPT-2's split without a word, and tokens come out that the model was not trained on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

UNSTATED = (None, "default")
"""What a file has that does not tell: transformers' split for its architecture, or GPT-2's, is as good as any."""

GPT2 = ("gpt-2", "gpt2", "phi-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "gigachat", "a.x-4.0", "mellum", "exaone4")
"""Names of GPT-2's split itself."""

DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b")
"""Names of GPT-2's split of text whose digits stand alone."""


def split(tokenizer: PreTrainedTokenizerBase, name: str | None) -> str | None:
    """Split text as llama.cpp does by a name, for a tokenizer as transformers makes it of a GGUF; what would be lost where that fails."""
    if name in UNSTATED:
        return None
    from tokenizers import pre_tokenizers

    backend: Any = tokenizer.backend_tokenizer
    if name in DIGITS:
        alone = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([alone, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    elif name not in GPT2 and isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel):  # with nothing before it: GPT-2's
        return f"its text is split as {name}, which transformers does not read of a GGUF, so that its tokens would be others"
    return None


def resplit(written: PreTrainedTokenizerBase, read: PreTrainedTokenizerBase, name: str | None) -> str | None:
    """What would be lost where a tokenizer that was written is read again with another split, that of its architecture's class."""
    if name in UNSTATED or _state(written) == _state(read):
        return None
    return f"its text is split as {name}, and a {type(read).__name__}, which transformers takes for its architecture, splits otherwise"


def _state(tokenizer: Any) -> Any:
    return tokenizer.backend_tokenizer.pre_tokenizer.__getstate__()
