"""Train the two embedded models from a seed: Llama decoders with a tokenizer of their own, on the train split of python-docs."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drank.corpora.documents import Document
from drank.runtime.files import replacing, write_json, write_text
from drank.testbed.model_card import card
from drank.testbed.ngrams import Ids, ngram_loss
from drank.testbed.tokens import END_OF_TEXT, VOCABULARY, token_stream, train_tokenizer

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

log = logging.getLogger(__name__)


CONTEXT = 512

SHAPES: dict[str, dict[str, int]] = {
    "docs-mha": {"num_key_value_heads": 4, "intermediate_size": 512},
    "docs-gqa": {"num_key_value_heads": 2, "intermediate_size": 640},
}
"""What tells the models apart: multi-head attention as in LLaMA-7B, grouped-query attention as in LLaMA-3."""

COMMON_SHAPE = {"hidden_size": 192, "num_hidden_layers": 8, "num_attention_heads": 4, "max_position_embeddings": CONTEXT}


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train: `steps` of `batch` windows of CONTEXT tokens, linear warm-up, linear decay to zero.

    Hidden matrices are updated by Muon at `matrix_rate`, embeddings and norms by AdamW at `rate`. Until `long_from` of the steps are
    done, each window is cut in two: attention costs less, and the full context is learnt at the end.
    """

    steps: int = 1380
    batch: int = 16
    matrix_rate: float = 0.02
    rate: float = 4e-3
    warmup: int = 40
    long_from: float = 0.85
    weight_decay: float = 0.02
    seed: int = 13

    def decay(self, step: int) -> float:
        """The share of the peak rate that holds in one step, counted from 0."""
        return min((step + 1) / self.warmup, (self.steps - step) / (self.steps - self.warmup))


def _windows(stream: torch.Tensor, schedule: Schedule) -> Iterator[torch.Tensor]:
    """Batches of windows with their next token, (windows, length + 1), one batch a step; each pass sees every token once."""
    import torch

    generator = torch.Generator().manual_seed(schedule.seed)
    whole = stream[: (len(stream) - 1) // CONTEXT * CONTEXT + 1].unfold(0, CONTEXT + 1, CONTEXT)
    order = torch.empty(0, dtype=torch.long)
    for step in range(schedule.steps):
        if len(order) < schedule.batch:
            order = torch.cat([order, torch.randperm(len(whole), generator=generator)])
        batch, order = whole[order[: schedule.batch]], order[schedule.batch :]
        length = CONTEXT if step >= schedule.long_from * schedule.steps else CONTEXT // 2
        yield batch.unfold(1, length + 1, length).flatten(0, 1)


def _loss(model: Any, windows: torch.Tensor) -> torch.Tensor:
    import torch

    windows = windows.to(model.device)
    with torch.autocast(windows.device.type, dtype=torch.bfloat16):
        logits = model(input_ids=windows[:, :-1], use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten())


def mean_loss(model: Any, stream: torch.Tensor, limit: int = 512) -> float:
    """Mean loss in nats per token over the first `limit` windows of CONTEXT tokens, cut without overlap."""
    import torch

    count = min(limit, (len(stream) - 1) // CONTEXT)
    windows = stream[: count * CONTEXT + 1].unfold(0, CONTEXT + 1, CONTEXT)
    with torch.no_grad():
        losses = [_loss(model, chunk).item() * len(chunk) for chunk in windows.split(16)]
    return sum(losses) / count


def _optimizers(model: LlamaForCausalLM, schedule: Schedule) -> list[torch.optim.Optimizer]:
    import torch

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=schedule.matrix_rate, weight_decay=schedule.weight_decay, momentum=0.95, nesterov=True),
        torch.optim.AdamW(others, lr=schedule.rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def train_model(
    shape: dict[str, int], train: Ids, validation: Ids, schedule: Schedule, device: str
) -> tuple[LlamaForCausalLM, dict[str, float]]:
    """A trained model in float32, and its final losses in nats per token with the tokens it saw and the seconds it took."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(schedule.seed)
    special = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    config = LlamaConfig(vocab_size=VOCABULARY, **COMMON_SHAPE, **shape, **special, tie_word_embeddings=True)
    config._attn_implementation = "eager" if device == "cpu" else "sdpa"
    model = LlamaForCausalLM(config).to(device)
    optimizers = _optimizers(model, schedule)
    peaks = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    stream, held_out = torch.from_numpy(train), torch.from_numpy(validation)
    started = time.perf_counter()
    for step, windows in enumerate(_windows(stream, schedule)):
        loss = _loss(model, windows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, peak in zip(optimizers, peaks, strict=True):
            optimizer.param_groups[0]["lr"] = peak * schedule.decay(step)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if (step + 1) % 20 == 0:
            seconds = time.perf_counter() - started
            left = seconds / (step + 1) * (schedule.steps - step - 1)
            log.info("step %d of %d, loss %.3f, %.0f s done, %.0f s to go", step + 1, schedule.steps, loss.item(), seconds, left)
    model.eval()
    measured = {
        "train_loss": mean_loss(model, stream),
        "validation_loss": mean_loss(model, held_out),
        "tokens_seen": float(schedule.steps * schedule.batch * CONTEXT),
        "seconds": time.perf_counter() - started,
    }
    return model, measured


def baselines(train: Ids, validation: Ids) -> dict[str, float]:
    """Validation losses in nats per token of the unigram and the 5-gram model of the same tokens."""
    return {f"{n}gram_validation_loss": ngram_loss(train, validation, n, VOCABULARY) for n in (1, 5)}


def build(name: str, documents: list[Document], versions: dict[str, str], folder: str | Path, device: str) -> None:
    """Train the embedded model `name` on python-docs and write its directory with `training.json` and a model card."""
    import torch

    texts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for document in documents:
        texts[document.split].append(document.text)
    tokenizer = train_tokenizer(texts["train"])
    train, validation = token_stream(tokenizer, texts["train"]), token_stream(tokenizer, texts["validation"])
    schedule = Schedule()
    model, measured = train_model(SHAPES[name], train, validation, schedule, device)
    where = "a GPU" if device != "cpu" else f"{torch.get_num_threads()} CPU core(s)"
    counts = {"device": where, "parameters": model.num_parameters(), "train_tokens": len(train), "validation_tokens": len(validation)}
    facts = {"name": name, **counts, **measured, **baselines(train, validation), "schedule": asdict(schedule), "corpus_versions": versions}
    save(model, tokenizer, facts, folder)


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, facts: dict[str, Any], folder: str | Path) -> None:
    """Write a model directory as Hugging Face reads it, weights in float16, with `training.json` and a model card; whole or not at all."""
    import torch
    from transformers import PreTrainedTokenizerFast

    special = dict.fromkeys(("bos_token", "eos_token", "pad_token"), END_OF_TEXT)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=CONTEXT, **special)
    with replacing(folder) as temporary:
        model.to("cpu", torch.float16).save_pretrained(temporary)
        wrapped.save_pretrained(temporary)
        write_json(temporary / "training.json", facts)
        write_text(temporary / "README.md", card(facts, model.config.to_dict()))
