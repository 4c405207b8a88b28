"""The way to one compressed model: where the files of each step lie, and which of them the next one reads.

Paths are those of a run's folder, `results/…`. Calls that do without the workflow name their files by this alone; its rules spell what they
write as patterns of the same form, so that both change together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from drank.config.resolved import calibration_options, finetune_options, search_options
from drank.methods import Method
from drank.models.theirs import rounds


def texts_of(config: Mapping[str, Any], method: Method) -> dict[str, dict[str, Any]]:
    """The texts that compressing by a method can read, each with its options: `calibration`, `search` and `finetune`."""
    options = {"calibration": calibration_options, "search": search_options, "finetune": finetune_options}
    return {text: find(config, method.calibration) for text, find in options.items()}


def tokens_at(model: str, options: Mapping[str, Any]) -> str:
    """The tokens of the text that these options name, for that model's tokenizer."""
    return f"results/tokens/{model}/{options['corpus']}.{options['split']}.safetensors"


@dataclass(frozen=True)
class Chain:
    """The files on the way to one model by one method, called `label`, at one ratio (as it stands in paths).

    Of a `shape` nothing is decomposed: its ranks follow from it alone, and factors of those ranks are drawn as its weights are.
    """

    model: str
    label: str
    method: Method
    ratio: str
    texts: Mapping[str, Mapping[str, Any]]
    shape: bool = False

    @property
    def source(self) -> str:
        """What describes the dense model."""
        return f"results/sources/{self.model}.json"

    def tokens(self, text: str) -> str:
        """The tokens of one of the texts."""
        return tokens_at(self.model, self.texts[text])

    @property
    def moments(self) -> str:
        """What calibration leaves."""
        return f"results/moments/{self.model}{self.method.calibrated}"

    def gradients(self, labels: str) -> str:
        """What the backward pass of this name leaves."""
        return f"results/gradients/{self.model}{self.method.calibrated}/{labels}"

    @property
    def spectrum(self) -> str:
        """The spectra of the dense model."""
        return f"results/spectra/{self.model}/{self.method.spectrum}"

    @property
    def effective_ranks(self) -> str:
        """What tables and figures show of the spectra, which may be gone by then."""
        return f"results/effective_ranks/{self.model}/{self.method.spectrum}.json"

    @property
    def steps(self) -> str:
        """With steps: the spectra of the last of them to this very ratio."""
        return f"results/steps/{self._own}"

    @property
    def spectra(self) -> str:
        """The spectra that the model is made out of."""
        return self.steps if self.method.relinearises else self.spectrum

    @property
    def slopes(self) -> str:
        """The first-order changes of the loss."""
        return f"results/slopes/{self.model}/{self.method.spectrum}.safetensors"

    @property
    def sensitivity(self) -> str:
        """What the search found that each projection alone suffers."""
        return f"results/sensitivity/{self.model}/{self.method.spectrum}.json"

    @property
    def selection(self) -> str:
        """The choice made on validation text."""
        return f"results/selections/{self._own}.json"

    @property
    def given(self) -> dict[str, str]:
        """The plan of a user that an allocation reads, which is no file of the run; nothing where ranks are its own."""
        plan = self.method.at(float(self.ratio)).plan
        return {"given": plan} if plan else {}

    @property
    def plan(self) -> str:
        """The ranks."""
        return f"results/plans/{self._own}.json"

    @property
    def made(self) -> str:
        """What a measurement loads: the directory of a model that the run made, for others the file that says where it lies."""
        if rounds(self.method.checkpoint):
            return f"results/rounded/{self.model}/{self.label}"
        if self.method.checkpoint:
            return f"results/sources/{self.model}/{self.label}.json"
        return f"results/models/{self._own}" if self.method.compresses else self.source

    @property
    def beside(self) -> dict[str, str]:
        """For somebody else's checkpoint what describes the dense model, on whose tokens and beside whose size it is measured."""
        return {"beside": self.source} if self.method.checkpoint else {}

    @property
    def place(self) -> tuple[str, str, str]:
        """Model, label and ratio as they stand in paths."""
        return self.model, self.label, self.ratio

    @property
    def _own(self) -> str:
        return "/".join(self.place)

    @property
    def calibrated(self) -> bool:
        """Whether moments are read."""
        return self.method.weighs_inputs or "similarities" in self.method.needs

    def spectrum_inputs(self) -> dict[str, str]:
        """The moments and the gradients, for a weighting that is made of them."""
        moments = {"moments": self.moments} if self.method.weighs_inputs else {}
        return moments | ({"gradients": self.gradients(self.method.weighing_pass)} if self.method.weighs_gradients else {})

    def evidence(self) -> dict[str, str]:
        """What an allocator reads, by name: the spectra, and what else it needs; of a shape what describes it."""
        if self.shape:
            return {"source": self.source}
        extra = {
            "slopes": ("slopes", self.slopes),
            "similarities": ("moments", self.moments),
            "sensitivity": ("sensitivity", self.sensitivity),
        }
        return {"spectra": self.spectra, **dict(extra[name] for name in sorted(self.method.needs & extra.keys()))}

    def told(self) -> dict[str, str]:
        """What an allocation reads beside the evidence: what tells of the text behind slopes, and the choice made on validation text."""
        gradients = {"gradients": self.gradients(self.method.labels)} if "slopes" in self.method.needs else {}
        return gradients | ({"choice": self.selection} if self.method.chooses else {})

    def compress_texts(self) -> dict[str, str]:
        """The tokens that compressing reads: for a refit and for corrections those of the calibration, for fine-tuning its own."""
        ratio = float(self.ratio)
        tokens = {"tokens": self.tokens("calibration")} if self.method.refits(ratio) or self.method.corrections else {}
        return tokens | ({"finetune_tokens": self.tokens("finetune")} if self.method.finetunes(ratio) else {})

    def read_again(self, tokens: str, text: str) -> dict[str, Any] | None:
        """The options of a text where compressing reads these `tokens` of it; None where it does not."""
        return dict(self.texts[text]) if tokens in self.compress_texts() else None

    def left(self, kinds: Iterable[str], *, models: bool) -> dict[str, str]:
        """What a run leaves: the records of these kinds, and of what it makes the plan and, where it keeps `models`, the folder."""
        timed = f"{self.model}/{self.ratio}/{self.label}"
        found = {kind: f"results/{kind}/{timed if kind == 'throughput' else self._own}.json" for kind in kinds}
        made = {"plan": self.plan} | ({"model": self.made} if models else {})
        return found | (made if self.method.compresses else {})

    def measured(self, kinds: Collection[str]) -> list[str]:
        """The files in which Snakemake notes how long measuring these kinds took."""
        evaluated = [f"results/benchmarks/evaluate/{self._own}.tsv"] if {"perplexity", "zeroshot"} & set(kinds) else []
        return evaluated + [f"results/benchmarks/throughput/{self.model}/{self.ratio}.tsv"] * ("throughput" in kinds)

    def timings(self) -> dict[str, str]:
        """The steps on the way, by rule, each with the file in which Snakemake notes how long it took; none where nothing is made."""
        if not self.method.compresses:
            return {"round": f"results/benchmarks/round/{self.model}/{self.label}.tsv"} if rounds(self.method.checkpoint) else {}
        needs, place, text = self.method.needs, f"{self.model}/{self.method.spectrum}", f"{self.model}{self.method.calibrated}"
        chain = {
            "calibrate": text if self.calibrated else None,
            "spectrum": None if self.shape else place,
            "slopes": place if "slopes" in needs else None,
            "sensitivity": place if "sensitivity" in needs else None,
            "relinearise": self._own if self.method.relinearises else None,
            "selection": self._own if self.method.chooses else None,
            "allocate": self._own,
            "compress": self._own,
        }
        passes = self.method.passes
        names = {labels: f"gradients ({labels})" if len(passes) > 1 else "gradients" for labels in passes}
        backward = {names[labels]: f"results/benchmarks/gradients/{text}/{labels}.tsv" for labels in passes}
        return backward | {rule: f"results/benchmarks/{rule}/{path}.tsv" for rule, path in chain.items() if path}
