"""A model as lm-evaluation-harness asks it, with drank's own way from text to token ids, and progress in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import normalize_gen_kwargs

from drank.corpora.beginnings import NONE, TEXT, WINDOW
from drank.corpora.encoding import TokenizerError, bare, past_embedding, prompt_opening
from drank.evaluation.zeroshot.likelihoods import log_likelihoods
from drank.evaluation.zeroshot.pairs import equal_choices, faults, pair_of, pieces, shortened
from drank.runtime.shares import WHOLE, Share

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 20.0


class LanguageModel(HFLM):
    """HFLM that encodes texts as `corpora.encoding` and pairs of prompt and answer as `pairs`, with room for answers past its context.

    Where BOS is to stand before every window (`bos`, one of `corpora.beginnings.CONVENTIONS`) a prompt that is cut keeps it; where it is to
    stand nowhere EOS takes its place before an answer without a prompt.

    Answers are scored as `likelihoods` says. It logs how many it has read, at most once in PROGRESS_SECONDS; `cut` counts prompts that
    lost their start. To what is asked of items that are not of the share it answers with a blank, unread.
    """

    done, cut = 0, 0

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch: int, share: Share = WHOLE, bos: str = TEXT
    ) -> None:
        """Raises TokenizerError where special tokens do not stand around a text, or there is none that begins one and has to be."""
        self.opening, self.rows = prompt_opening(tokenizer, bos), len(model.get_input_embeddings().weight)
        self.bos, self.kept = bos, self.opening if bos == WINDOW else []
        self.share, self.reported = share, time.monotonic()
        super().__init__(pretrained=model, tokenizer=tokenizer, batch_size=batch)
        if self.tokenizer.pad_token_id >= self.rows:  # added for training in batches, or just now by the harness; it is never attended to
            self.tokenizer.pad_token_id = 0

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, left_truncate_len: int | None = None, **_: Any) -> list[int]:
        """The ids of a text, opened by special tokens unless it says the first of them itself, or shall have none."""
        first = self.prefix_token_id
        begun = add_special_tokens is False or (first is not None and string.startswith(self.tok_decode(first, skip_special_tokens=False)))
        ids = [*([] if begun else self.opening), *self._bare(string)]
        return shortened(ids, left_truncate_len, self.kept) if left_truncate_len else ids

    @property
    def prefix_token_id(self) -> Any:
        """What stands before an answer without a prompt."""
        return self.eot_token_id if self.bos == NONE else super().prefix_token_id

    def tok_batch_encode(self, strings: Any, padding_side: str = "left", left_truncate_len: int | None = None, **_: Any) -> Any:
        """The ids of several prompts and their attention mask, (prompts, tokens) both; raises TokenizerError for ids without embedding."""
        rows = [self.tok_encode(string, left_truncate_len=left_truncate_len) or [self.prefix_token_id] for string in strings]
        if wrong := self._past({number for row in rows for number in row}):
            raise TokenizerError(f"zero-shot: {wrong}")
        padded = self.tokenizer.pad({"input_ids": rows}, padding_side=padding_side, return_tensors="pt")
        return padded["input_ids"], padded["attention_mask"]

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> Any:
        """For each request the log-likelihood of its answer and whether it is the likeliest; raises ValueError for those without one."""
        return self._of_share(self._scores, requests, (0.0, False))

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> Any:
        """What the model writes after each prompt, the likeliest token each time, or what the definition says beside.

        Raises TokenizerError where no token ends a text, ValueError where the context has no room for what is to be written.
        """
        if self.eot_token_id is None:
            raise TokenizerError(
                f"task {requests[0].task_name} has the model write until EOS, and the tokenizer of {self.tokenizer.name_or_path} has none; "
                "name it in its tokenizer_config.json (`eos_token`)"
            )
        return self._of_share(self._written, requests, "")

    def _written(self, requests: Any, disable_tqdm: bool = True) -> Any:
        room = {}
        for request in requests:
            prompt, options = request.args
            most = normalize_gen_kwargs(options, self.max_gen_toks)["max_gen_toks"]
            room[most] = self.max_length - most
            self.cut += len(self.tok_encode(prompt)) > room[most] > 0
        if small := [most for most, left in room.items() if left < 1]:
            raise ValueError(
                f"task {requests[0].task_name} has the model write up to {max(small)} tokens, and its context of {self.max_length} has no "
                "room for a prompt beside them; lower max_gen_toks among the generation_kwargs of a YAML of your own that includes the task"
            )
        return super().generate_until(requests, disable_tqdm=disable_tqdm)

    def _scores(self, requests: Any, disable_tqdm: bool = True) -> Any:
        texts = [request.args for request in requests]
        pairs = [pair_of(prompt, answer, self.tok_encode, self._bare, self.prefix_token_id) for prompt, answer in texts]
        if wrong := faults(requests, pairs, self._past):
            raise ValueError("\n".join(wrong))
        if twice := equal_choices(requests):
            log.warning("%s: %d items have two equal answers, of which the first counts", requests[0].task_name, twice)
        self.cut = len({request.doc_id for request, pair in zip(requests, pairs, strict=True) if self.too_long(*pair)})
        return self._loglikelihood_tokens([(key, *pair) for key, pair in zip(texts, pairs, strict=True)], disable_tqdm=disable_tqdm)

    def _bare(self, text: str) -> list[int]:
        return bare(self.tokenizer, text)

    def _past(self, ids: Any) -> str | None:
        return past_embedding(self.tokenizer, ids, self.rows)

    def _loglikelihood_tokens(self, requests: Any, disable_tqdm: bool = True, override_bs: int | None = None) -> Any:
        split = [
            [(tuple(self._fitting(context + head, tail)), tuple(tail)) for head, tail in pieces(answer, self.max_length)]
            for _, context, answer in requests
        ]
        found = iter(log_likelihoods(self.model, [pair for parts in split for pair in parts], self.batch_size, self._read))
        scored = ([next(found) for _ in parts] for parts in split)
        return [(sum(score for score, _ in parts), all(greedy for _, greedy in parts)) for parts in scored]

    def too_long(self, prompt: Sequence[int], answer: Sequence[int]) -> bool:
        """Whether a prompt loses its beginning for the context to hold it and its answer; the last token is not read."""
        return len(prompt) + len(answer) > self.max_length + 1

    def _fitting(self, before: list[int], after: list[int]) -> list[int]:
        """What stands before a piece of an answer, as much as the context has room for, with its BOS where that is kept."""
        return shortened(before, self.max_length + 1 - len(after), self.kept)

    def _read(self, answers: int) -> None:
        self.done += answers
        if time.monotonic() - self.reported > PROGRESS_SECONDS:
            log.info("zero-shot: %d answers read", self.done)
            self.reported = time.monotonic()

    def _of_share(self, ask: Callable[..., Any], requests: Any, blank: Any) -> list[Any]:
        own = [request for request in requests if self.share.takes(request.doc_id)]
        self.cut = 0
        found = iter(ask(own, disable_tqdm=True) if own else ())
        return [next(found) if self.share.takes(request.doc_id) else blank for request in requests]
