"""The key-value cache of a batch of prompts, from which answers and log-likelihoods of choices are computed.

The prompts are prefilled once. Decoding and scoring continue from the cache and crop it back to the prompts afterwards;
the first new token comes from the prefill's last logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from vtbench_hf.decoding import Decoding
from vtbench_hf.generation import stop_ids, until_stop


@dataclass(frozen=True, slots=True)
class PrefixCache:
    """A batch of prompts that a decoder has prefilled."""

    model: Any
    """A decoder with its language-model head; takes token ids, position ids and a cache."""
    cache: DynamicCache
    """Keys and values of the prompts; of nothing else between two calls."""
    logits_BV: torch.Tensor
    """Of the first token after the prompt."""
    mask_BP: torch.Tensor
    """The prompts' attention mask."""
    next_B: torch.Tensor
    """Position id of the first token after each prompt."""

    @classmethod
    def prefill(
        cls, model: Any, embeds_BPD: torch.Tensor, mask_BP: torch.Tensor, positions: torch.Tensor
    ) -> PrefixCache:
        """Run the decoder over prompts that are padded on the left.

        Args:
            model: see the field.
            embeds_BPD: embeddings of the prompts.
            mask_BP: their attention mask.
            positions: position ids (B, P), or (axes, B, P) where a token has one on each axis; text has the same on
                all.
        """
        cache = DynamicCache()
        logits_B1V = model(
            inputs_embeds=embeds_BPD,
            attention_mask=mask_BP,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits.to(mask_BP.device)
        next_B = positions.reshape(-1, *mask_BP.shape).amax((0, 2)) + 1
        return cls(model, cache, logits_B1V[:, -1], mask_BP, next_B)

    def decode(self, max_new_tokens: int, decoding: Decoding | None = None) -> list[list[int]]:
        """Return the token ids of each row's answer, greedy unless a `decoding` says otherwise.

        The token that ends an answer is left out.
        """
        stop = stop_ids(self.model)
        stop_S = torch.tensor(stop, device=self.mask_BP.device, dtype=torch.long)
        pad = self.model.generation_config.pad_token_id or 0
        logits_BV, mask_BL = self.logits_BV, self.mask_BP
        done_B = torch.zeros_like(self.next_B, dtype=torch.bool)
        tokens: list[torch.Tensor] = []
        try:
            while True:
                chosen_B = logits_BV.argmax(-1) if decoding is None else decoding.choose(logits_BV)
                token_B = chosen_B.masked_fill(done_B, pad)
                tokens.append(token_B)
                done_B = done_B | torch.isin(token_B, stop_S)
                if decoding is not None:
                    done_B = done_B | decoding.ended(torch.stack(tokens, 1))
                if len(tokens) == max_new_tokens or bool(done_B.all()):
                    break
                mask_BL = torch.cat([mask_BL, torch.ones_like(mask_BL[:, :1])], 1)
                position_B1 = (self.next_B + len(tokens) - 1)[:, None]
                logits_BV = self._continue(token_B[:, None], mask_BL, position_B1)[:, -1]
        finally:
            self._crop()
        rows = torch.stack(tokens, 1).tolist()
        return [until_stop(row, stop) for row in (rows if decoding is None else decoding.cut(rows))]

    def score(self, choices: Sequence[Sequence[Sequence[int]]]) -> list[list[float]]:
        """Return log p(choice | prompt) of each choice of each row in nats, summed over the choice's tokens."""
        first_BV = self.logits_BV.float().log_softmax(-1)
        totals: list[list[float]] = [[] for _ in choices]
        for column in range(max(map(len, choices), default=0)):
            rows = [row[column] if column < len(row) else () for row in choices]
            for total, row, logprob in zip(totals, rows, self._column(first_BV, rows), strict=True):
                if row:
                    total.append(logprob)
        return totals

    def _column(self, first_BV: torch.Tensor, rows: Sequence[Sequence[int]]) -> list[float]:
        """Return log p of one choice a row, in nats; an empty one counts 0."""
        length = max(map(len, rows))
        padded = [[*row, *[0] * (length - len(row))] for row in rows]
        tokens_BT = torch.tensor(padded, device=first_BV.device)
        real_BT = torch.tensor([[i < len(row) for i in range(length)] for row in rows], device=first_BV.device)
        logprobs_BT = first_BV.gather(1, tokens_BT[:, :1])
        if length > 1:
            # The last token predicts nothing that is scored, so it is not fed. Filler is right of all that is scored.
            mask_BL = torch.cat([self.mask_BP, torch.ones_like(tokens_BT[:, 1:])], 1)
            position_BT = self.next_B[:, None] + torch.arange(length - 1, device=first_BV.device)
            try:
                logits_BTV = self._continue(tokens_BT[:, :-1], mask_BL, position_BT)
            finally:
                self._crop()
            rest_BT = logits_BTV.float().log_softmax(-1).gather(2, tokens_BT[:, 1:, None])[..., 0]
            logprobs_BT = torch.cat([logprobs_BT, rest_BT], 1)
        totals: list[float] = logprobs_BT.double().masked_fill(~real_BT, 0.0).sum(1).tolist()
        return totals

    def _continue(self, tokens_BT: torch.Tensor, mask_BL: torch.Tensor, position_BT: torch.Tensor) -> torch.Tensor:
        """Run the decoder over tokens that follow the cached ones; return their logits, (B, T, V)."""
        logits: torch.Tensor = self.model(
            input_ids=tokens_BT,
            attention_mask=mask_BL,
            position_ids=position_BT,
            past_key_values=self.cache,
            use_cache=True,
        ).logits.to(self.mask_BP.device)
        return logits

    def _crop(self) -> None:
        """Crop the cache back to the prompts."""
        if extra := self.cache.get_seq_length() - self.mask_BP.shape[1]:
            self.cache.crop(-extra)
