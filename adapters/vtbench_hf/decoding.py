"""How each row of a batch is decoded where that is not plain greedy decoding: drawn tokens, and texts that end it.

Each row draws with a random generator of its own, seeded by `Generation.seed_of`, so that an answer does not depend on
what else is in its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import (
    LogitsProcessorList,
    StoppingCriteria,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from vtbench.adapter import Generation
from vtbench.types import Sample
from vtbench_hf.answer_text import answer_text, first_stop


class Decoding:
    """Chooses the next token of each row of one batch, and ends rows at stop texts.

    Args:
        generation: temperature, limits of the draw, and texts that end an answer.
        samples: one for each row.
        tokenizer: of the model.
    """

    def __init__(self, generation: Generation, samples: Sequence[Sample], tokenizer: Any) -> None:
        self._greedy, self._until, self._tokenizer = generation.greedy, generation.until, tokenizer
        self._generators = [torch.Generator().manual_seed(generation.seed_of(sample)) for sample in samples]
        self._warpers = LogitsProcessorList()
        if not generation.greedy:
            self._warpers.append(TemperatureLogitsWarper(float(generation.temperature)))
            if generation.top_k is not None:
                self._warpers.append(TopKLogitsWarper(generation.top_k))
            if generation.top_p < 1:
                self._warpers.append(TopPLogitsWarper(generation.top_p))
        self._window = 8 + 4 * max(map(len, generation.until), default=0)
        self._lengths: list[int | None] = [None] * len(samples)

    @classmethod
    def of(cls, generation: Generation, samples: Sequence[Sample], tokenizer: Any) -> Decoding | None:
        """Return how a batch is decoded; None for plain greedy decoding."""
        return None if generation.greedy and not generation.until else cls(generation, samples, tokenizer)

    def choose(self, logits_BV: torch.Tensor) -> torch.Tensor:
        """Return each row's next token, (B,)."""
        if self._greedy:
            return logits_BV.argmax(-1)
        none_B0 = torch.empty((len(logits_BV), 0), dtype=torch.long, device=logits_BV.device)
        probabilities_BV = self._warpers(none_B0, logits_BV.float()).softmax(-1).cpu()
        rows = zip(probabilities_BV, self._generators, strict=True)
        drawn = [torch.multinomial(row_V, 1, generator=generator) for row_V, generator in rows]
        return torch.cat(drawn).to(logits_BV.device)

    def ended(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        """Return which rows have a stop text among their new tokens, (B,) bool."""
        for i, row in enumerate(tokens_BT.tolist() if self._until else ()):
            # Only a text that the last token completes is new; a character may take several tokens.
            if self._lengths[i] is None and self._stops(row[-self._window :]) and self._stops(row):
                self._lengths[i] = len(row)
        return torch.tensor([length is not None for length in self._lengths], device=tokens_BT.device)

    def _stops(self, row: Sequence[int]) -> bool:
        return first_stop(answer_text(self._tokenizer, row), self._until) is not None

    def cut(self, rows: Sequence[Sequence[int]]) -> list[list[int]]:
        """Return each row up to the token that completed its stop text."""
        return [list(row)[:length] for row, length in zip(rows, self._lengths, strict=True)]


class DrawnTokens:
    """A logits processor that forces the tokens that a `Decoding` chooses."""

    def __init__(self, decoding: Decoding) -> None:
        self._decoding = decoding

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores, -inf but at the chosen tokens."""
        token_B1 = self._decoding.choose(scores)[:, None]
        return torch.full_like(scores, float("-inf")).scatter(1, token_B1, 0.0)


class StopTexts(StoppingCriteria):
    """Ends the rows that a `Decoding` says have ended; counts the new tokens itself, one at each call."""

    def __init__(self, decoding: Decoding) -> None:
        self._decoding, self._steps = decoding, 0

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        """Return which rows have ended, (B,) bool."""
        self._steps += 1
        return self._decoding.ended(input_ids[:, -self._steps :])
