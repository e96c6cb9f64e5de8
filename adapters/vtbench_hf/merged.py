"""Faster decoding where picture embeddings simply take the place of placeholder tokens in front of a causal decoder.

The prompt, pictures and all, is run once; the greedy answer and the choices both go on from its key-value cache, and
the first token of a choice is read off the prompt's last logits. Token budgets make shorter prompts of it, for which
the vision tower and the connector are not run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from vtbench.budget import Budget, checked_weights
from vtbench.errors import AdapterError
from vtbench.types import Output, Sample, VisualTokens
from vtbench_hf import visual
from vtbench_hf.adapter import HFAdapter, Inputs
from vtbench_hf.decoding import stop_ids, until_stop
from vtbench_hf.loading import Loaded
from vtbench_hf.thinning import thin

MERGED = frozenset({"llava", "idefics3", "internvl"})
"""Model types that `MergedAdapter` is tested to serve as their own `generate` does."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """A batch of prompts that the decoder has read."""

    cache: DynamicCache
    """Keys and values of the prompts, and of nothing else between two uses."""
    logits_BV: torch.Tensor
    """Of the token after the prompt."""
    mask_BP: torch.Tensor
    next_B: torch.Tensor
    """Position of the token after each prompt."""


class MergedAdapter(HFAdapter):
    """Serves models whose decoder is plain and causal, sharing one run over the prompt."""

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded)
        if self.layers:
            self.capabilities |= {"budget"}

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        """Answer greedily from what the budget leaves of the pictures."""
        with self._batch(samples):
            return self._answers(self._prompts(samples, budget), max_new_tokens)

    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        """Score each sample's choices from what the budget leaves of the pictures."""
        with self._batch(samples):
            return self._rankings(self._prompts(samples, budget), samples)

    def _prompts(self, samples: Sequence[Sample], budget: Budget | None) -> Inputs:
        """Return the batch's inputs; under a budget, with `inputs_embeds` of the shorter prompts."""
        inputs = self._shared_inputs(samples)
        if budget is None or "pixel_values" not in inputs:
            return inputs
        tokens_BND = visual.by_sample(visual.connector_rows(self._features(inputs)), len(samples))
        return thin(
            inputs["input_ids"],
            inputs["attention_mask"],
            self._embeddings(inputs),
            self._places(inputs),
            tokens_BND,
            self._weights(samples, tokens_BND, budget),
        )

    def _weights(self, samples: Sequence[Sample], tokens_BND: torch.Tensor, budget: Budget) -> list[np.ndarray]:
        """Ask the budget about samples whose pictures have one size at a time: only these share their tokens' boxes."""
        sizes = [tuple(image.size for image in sample.images) for sample in samples]
        found: dict[int, np.ndarray] = {}
        for size in dict.fromkeys(sizes):
            rows = [i for i, other in enumerate(sizes) if other == size]
            alike = [samples[i] for i in rows]
            tokens = VisualTokens("connector", tokens_BND[rows], self._boxes(alike))
            found |= zip(rows, checked_weights(budget, tokens, [sample.id for sample in alike]), strict=True)
        return [found[i] for i in range(len(samples))]

    def _decode(self, inputs: Inputs, max_new_tokens: int) -> list[list[int]]:
        prefix = self._prefix(inputs)
        stop = stop_ids(self.model)
        stop_S = torch.tensor(stop, device=prefix.mask_BP.device, dtype=torch.long)
        pad = self.model.generation_config.pad_token_id or 0
        logits_BV, mask_BL = prefix.logits_BV, prefix.mask_BP
        done_B = torch.zeros_like(prefix.next_B, dtype=torch.bool)
        tokens: list[torch.Tensor] = []
        try:
            while True:
                token_B = logits_BV.argmax(-1).masked_fill(done_B, pad)
                tokens.append(token_B)
                done_B = done_B | torch.isin(token_B, stop_S)
                if len(tokens) == max_new_tokens or bool(done_B.all()):
                    break
                mask_BL = torch.cat([mask_BL, torch.ones_like(mask_BL[:, :1])], 1)
                position_B1 = (prefix.next_B + len(tokens) - 1)[:, None]
                logits_BV = self._continue(prefix, token_B[:, None], mask_BL, position_B1)[:, -1]
        finally:
            self._rewind(prefix)
        return [until_stop(row, stop) for row in torch.stack(tokens, 1).tolist()]

    def _score(self, inputs: Inputs, choices: Sequence[Sequence[Sequence[int]]]) -> list[list[float]]:
        prefix = self._prefix(inputs)
        first_BV = prefix.logits_BV.float().log_softmax(-1)
        totals: list[list[float]] = [[] for _ in choices]
        for column in range(max(map(len, choices), default=0)):
            rows = [row[column] if column < len(row) else () for row in choices]
            for total, row, logprob in zip(totals, rows, self._column(prefix, first_BV, rows), strict=True):
                if row:
                    total.append(logprob)
        return totals

    def _column(self, prefix: Prefix, first_BV: torch.Tensor, rows: Sequence[Sequence[int]]) -> list[float]:
        """Return log p of one choice a row, in nats; an empty one counts 0."""
        length = max(map(len, rows))
        padded = [[*row, *[0] * (length - len(row))] for row in rows]
        tokens_BT = torch.tensor(padded, device=first_BV.device)
        real_BT = torch.tensor([[i < len(row) for i in range(length)] for row in rows], device=first_BV.device)
        logprobs_BT = first_BV.gather(1, tokens_BT[:, :1])
        if length > 1:
            # A row predicts the token after it: the last is not fed. Fillers stand to the right of all that counts.
            mask_BL = torch.cat([prefix.mask_BP, torch.ones_like(tokens_BT[:, 1:])], 1)
            position_BT = prefix.next_B[:, None] + torch.arange(length - 1, device=first_BV.device)
            try:
                logits_BTV = self._continue(prefix, tokens_BT[:, :-1], mask_BL, position_BT)
            finally:
                self._rewind(prefix)
            rest_BT = logits_BTV.float().log_softmax(-1).gather(2, tokens_BT[:, 1:, None])[..., 0]
            logprobs_BT = torch.cat([logprobs_BT, rest_BT], 1)
        totals: list[float] = logprobs_BT.double().masked_fill(~real_BT, 0.0).sum(1).tolist()
        return totals

    def _features(self, inputs: Inputs) -> Any:
        """Return what the vision tower and the connector make of the batch's pictures."""
        return self._memo.part("features", lambda: visual.image_features(self.model, inputs))

    def _prefix(self, inputs: Inputs) -> Prefix:
        """Return the prompts as read. Those of the whole pictures are read once a batch; a budget's, each time."""
        if "inputs_embeds" in inputs:
            return self._read(inputs)
        return self._memo.part("prefix", lambda: self._read(inputs))

    def _embeddings(self, inputs: Inputs) -> torch.Tensor:
        """Return the prompts' embeddings with the pictures' in the place of the placeholders, (B, P, d)."""
        if "inputs_embeds" in inputs:
            made: torch.Tensor = inputs["inputs_embeds"]
            return made
        ids_BP = inputs["input_ids"]
        embeds_BPD = self.model.get_input_embeddings()(ids_BP)
        if "pixel_values" not in inputs:
            return embeds_BPD
        rows = visual.connector_rows(self._features(inputs))
        rows = torch.cat([row.reshape(-1, row.shape[-1]) for row in rows]) if isinstance(rows, list) else rows
        place_BP = self._places(inputs)
        if int(place_BP.sum()) * embeds_BPD.shape[-1] != rows.numel():
            raise AdapterError(
                f"{self._loaded.checkpoint}: its processor makes {int(place_BP.sum())} placeholders for"
                f" {rows.numel() // embeds_BPD.shape[-1]} visual tokens: they do not belong together"
            )
        return embeds_BPD.masked_scatter(place_BP[..., None], rows.to(embeds_BPD.dtype))

    def _read(self, inputs: Inputs) -> Prefix:
        mask_BP, position_BP = inputs["attention_mask"], self._positions(inputs)
        cache = DynamicCache()
        logits_B1V = self.model(
            inputs_embeds=self._embeddings(inputs),
            attention_mask=mask_BP,
            position_ids=position_BP,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        return Prefix(cache, logits_B1V[:, -1], mask_BP, position_BP[:, -1] + 1)

    def _continue(
        self, prefix: Prefix, tokens_BT: torch.Tensor, mask_BL: torch.Tensor, position_BT: torch.Tensor
    ) -> torch.Tensor:
        """Feed tokens behind what the cache holds; return their logits, (B, T, V)."""
        logits: torch.Tensor = self.model(
            input_ids=tokens_BT,
            attention_mask=mask_BL,
            position_ids=position_BT,
            past_key_values=prefix.cache,
            use_cache=True,
        ).logits
        return logits

    @staticmethod
    def _rewind(prefix: Prefix) -> None:
        """Cut the cache back to the prompts."""
        if extra := prefix.cache.get_seq_length() - prefix.mask_BP.shape[1]:
            prefix.cache.crop(-extra)

    def _places(self, inputs: Inputs) -> torch.Tensor:
        """Return where the visual tokens stand, (B, P)."""
        place_BP: torch.Tensor = inputs["input_ids"] == self.model.config.image_token_id
        return place_BP

    @staticmethod
    def _positions(inputs: Inputs) -> torch.Tensor:
        """Return positions that count from each prompt's first token, whatever padding stands before it."""
        if "position_ids" in inputs:
            known: torch.Tensor = inputs["position_ids"]
            return known
        return (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)


def adapter_class(model_type: str) -> type[HFAdapter]:
    """Return the fastest adapter that serves a model type exactly."""
    return MergedAdapter if model_type in MERGED else HFAdapter
