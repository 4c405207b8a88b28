"""What a measurement is of, piece by piece, each under a key of all that decides it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.corpora.beginnings import convention_in
from drank.evaluation.continuations import continuations_of
from drank.evaluation.losses import losses_of
from drank.evaluation.pieces import digest_of
from drank.evaluation.zeroshot import answer_tasks, check_tasks, expanded
from drank.evaluation.zeroshot.contents import content_of
from drank.models.checkpoint import load_tokenizer
from drank.models.description import quantised_by
from drank.models.documents import CARD, MAKING, NUMBERS, PLAN
from drank.models.loaded import PACKAGES
from drank.models.sources import MODEL_SUFFIXES, family_hash
from drank.runtime.content import content_of as read_once
from drank.runtime.files import read_json
from drank.runtime.provenance import version_of
from drank.runtime.shares import Share

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from drank.corpora.windows import Tokens
    from drank.evaluation.reference import Reference

COMPUTES = {
    **dict.fromkeys(("perplexity", "continuations"), ("torch", "transformers", "accelerate")),
    "zeroshot": ("torch", "transformers", "accelerate", "lm_eval", "datasets", "tokenizers", "numpy"),
}
"""By kind the packages whose versions do."""

TOLD = (CARD, MAKING, NUMBERS, PLAN)
"""Files beside the weights of a model that tell of it and are not loaded."""


@dataclass(frozen=True)
class Wanted:
    """A piece that a record needs, of which kind and on which text or task, and how a share of it is measured.

    `key` is all that decides it but how this machine computes; `certain` is False where not all of that is known: then it is not kept.
    """

    kind: str
    dataset: str
    key: Mapping[str, Any]
    measure: Callable[[PreTrainedModel, Share], dict[str, Any]]
    certain: bool = True

    def under(self, computing: Mapping[str, Any]) -> dict[str, Any]:
        """The whole key, with how a machine computes, as JSON gives it back."""
        key: dict[str, Any] = json.loads(json.dumps({"kind": self.kind, **self.key, "computing": computing}, default=str))
        return key


def decided(model: Path, tokenizer: Path, code: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """By kind what decides a measurement and is no choice of the configuration's: the hash of its code, the model, versions of packages.

    `tokenizer` is the folder of the model whose tokenizer reads tasks; texts are read as token ids.
    """
    weights = digest_of([model_content(model), family_hash(model)])  # the table of families is no part of the code
    quantiser = quantised_by(read_json(model / "config.json"))
    read = {"perplexity": weights, "continuations": weights, "zeroshot": digest_of([weights, model_content(tokenizer, weights=False)])}
    return {kind: {"code": code.get(kind), "model": read[kind], "packages": _packages(kind, quantiser)} for kind in read}


def model_content(directory: Path, weights: bool = True) -> str:
    """A hash of the files that loading a model reads, or of those without its `weights`, among which are all of its tokenizer."""
    files = sorted(path for path in directory.iterdir() if path.suffix in MODEL_SUFFIXES and path.name not in TOLD and path.is_file())
    return digest_of({path.name: read_once(path) for path in files if weights or path.suffix != ".safetensors"})


def _packages(kind: str, quantiser: str | None) -> dict[str, str]:
    """The versions of what computes, as far as it is installed; of a quantised model also that of its quantiser."""
    names = [*COMPUTES[kind], *([PACKAGES.get(quantiser, quantiser)] if quantiser else [])]
    return {name: found for name in names if (found := version_of(name))}


def wanted_texts(
    texts: Sequence[Tokens], options: Mapping[str, Any], decided: Mapping[str, Any], references: Sequence[Reference] = ()
) -> list[Wanted]:
    """The losses of each text, by the `length`, `windows`, `batch` and `bos` of a section `perplexity`.

    With `references`, what is kept of a dense model on each text, they are beside that model's. Raises ValueError where one is of other
    windows.
    """
    cut = {name: options[name] for name in ("length", "windows", "batch")} if texts else {}
    bos = convention_in(options)

    def piece(text: Tokens, reference: Reference | None) -> Wanted:
        read = text.facts({**cut, "bos": bos})
        if reference and reference.facts["read"] != read:
            raise ValueError(f"{reference.directory} is of other windows than are measured of {text.corpus}; delete it and run again")

        def measure(model: PreTrainedModel, share: Share) -> dict[str, Any]:
            dense = reference.beside(model.device) if reference else None
            return asdict(losses_of(model, text, cut["length"], cut["windows"], cut["batch"], share, bos, dense))

        return Wanted("perplexity", text.corpus, {**decided, "read": read, **({"dense": reference.facts} if reference else {})}, measure)

    beside: Sequence[Reference | None] = references or [None] * len(texts)
    return [piece(*pair) for pair in zip(texts, beside, strict=True)]


def wanted_continuations(texts: Sequence[Tokens], options: Mapping[str, Any], decided: Mapping[str, Any]) -> list[Wanted]:
    """What the model writes after the beginnings of windows of each text, by the section `continuations` of a section `perplexity`.

    Nothing where that asks for no prompts, or is not there.
    """
    asked: dict[str, int] = dict(options.get("continuations") or {})
    if not texts or not asked.get("prompts"):
        return []
    cut, bos = {name: options[name] for name in ("length", "windows")}, convention_in(options)

    def piece(text: Tokens) -> Wanted:
        def measure(model: PreTrainedModel, share: Share) -> dict[str, Any]:
            windows = text.consecutive(cut["length"], cut["windows"], bos)
            return asdict(continuations_of(model, windows, asked, text.corpus, share))

        return Wanted("continuations", text.corpus, {**decided, "read": text.facts({**cut, **asked, "bos": bos})}, measure)

    return [piece(text) for text in texts]


def wanted_tasks(
    tasks: Mapping[str, Any], items: Mapping[str, str], options: Mapping[str, Any], tokenizer: Path, decided: Mapping[str, Any]
) -> list[Wanted]:
    """The marks of each task, of a group those of the tasks beneath it, by the `batch`, `limit` and `bos` of a section `zeroshot`.

    The tokenizer is that of the model in a folder.

    Raises ValueError with all that `check_tasks` finds.
    """
    if problems := check_tasks(tasks):
        raise ValueError("\n".join(problems))
    cut = {"bos": convention_in(options), **{name: options[name] for name in ("batch", "limit")}} if tasks else {}
    loaded = cache(lambda: load_tokenizer(tokenizer))

    def piece(name: str, spec: Mapping[str, Any]) -> Wanted:
        def measure(model: PreTrainedModel, share: Share) -> dict[str, Any]:
            return answer_tasks(model, loaded(), {name: spec}, items=items, **cut, share=share)[name]

        content = content_of(spec, items.get(name))
        return Wanted("zeroshot", name, {**decided, "read": {"task": content or name, **cut}}, measure, certain=content is not None)

    return [piece(name, spec) for name, spec in expanded(tasks).tasks.items()]
