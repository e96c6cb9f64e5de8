"""Greedy answers and the likelihood of given ones, through `model.generate`: right for every architecture that has it.

Ranking forces a choice's tokens on the decoding and reads their probabilities on the way, so positions, masks and
caches are the architecture's own, whatever they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList


class _Follow(LogitsProcessor):
    """Counts decoding steps, keeps the first step's log-probabilities, and forces tokens where any are given."""

    def __init__(self, forced_BT: torch.Tensor | None = None) -> None:
        self.steps = 0
        self.first_BV: torch.Tensor | None = None
        self.forced: list[torch.Tensor] = []
        self._forced_BT = forced_BT

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self.steps == 0:
            self.first_BV = scores.float().log_softmax(-1)
        if self._forced_BT is not None:
            token_B1 = self._forced_BT[:, self.steps, None]
            self.forced.append(scores.float().log_softmax(-1).gather(1, token_B1)[:, 0])
            scores = torch.full_like(scores, float("-inf")).scatter(1, token_B1, 0.0)
        self.steps += 1
        return scores


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one decoding gave."""

    tokens: list[list[int]]
    """The new tokens of each row, up to and without the one that ends it."""
    first_BV: torch.Tensor
    """log p of the first new token, in nats."""


def stop_ids(model: Any) -> list[int]:
    """Return the tokens that end an answer."""
    eos = model.generation_config.eos_token_id
    return [] if eos is None else [eos] if isinstance(eos, int) else list(eos)


def until_stop(tokens: Sequence[int], stop: Sequence[int]) -> list[int]:
    """Return the tokens before the first one in `stop`."""
    end = next((i for i, token in enumerate(tokens) if token in stop), len(tokens))
    return list(tokens[:end])


def generate(model: Any, inputs: Mapping[str, Any], max_new_tokens: int) -> Decoded:
    """Decode greedily."""
    follow = _Follow()
    sequences = _run(model, inputs, max_new_tokens, follow)
    assert follow.first_BV is not None
    # The prompt is part of the sequences for some architectures and not for others: count from the end.
    new = sequences[:, -follow.steps :].tolist()
    return Decoded([until_stop(row, stop_ids(model)) for row in new], follow.first_BV)


def score(
    model: Any,
    inputs: Mapping[str, Any],
    choices: Sequence[Sequence[Sequence[int]]],
    first_BV: torch.Tensor | None = None,
) -> list[list[float]]:
    """Return log p(choice | prompt) in nats, summed over the choice's tokens.

    Args:
        model: with a `generate` method.
        inputs: of the prompts, a row each.
        choices: tokens of each choice of each row, at least one each.
        first_BV: log p of the first new token, where known: choices of one token then cost nothing.
    """
    totals: list[list[float]] = [[] for _ in choices]
    for column in range(max(map(len, choices), default=0)):
        tokens = [row[column] if column < len(row) else [] for row in choices]
        length = max(map(len, tokens))
        if length > 1 or first_BV is None:
            steps_TB, first_BV = _forced(model, inputs, tokens)
        else:
            ids = torch.tensor([row[0] if row else 0 for row in tokens], device=first_BV.device)
            steps_TB = first_BV.gather(1, ids[:, None]).T
        for total, row, steps in zip(totals, tokens, steps_TB.T.double().tolist(), strict=True):
            if row:
                total.append(sum(steps[: len(row)]))
    return totals


def _forced(
    model: Any, inputs: Mapping[str, Any], tokens: Sequence[Sequence[int]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the log-probabilities of `tokens`, (T, B), and of the first new token, (B, V)."""
    length = max(map(len, tokens))
    filler = (stop_ids(model) or [0])[0]
    padded = [[*row, *[filler] * (length - len(row))] for row in tokens]
    follow = _Follow(torch.tensor(padded, device=model.device))
    _run(model, inputs, length, follow)
    assert follow.first_BV is not None
    steps_TB = torch.stack(follow.forced)
    # A batch whose rows have all stopped ends early; what is left over is filler.
    return torch.nn.functional.pad(steps_TB, (0, 0, 0, length - len(steps_TB))), follow.first_BV


def _run(model: Any, inputs: Mapping[str, Any], max_new_tokens: int, follow: _Follow) -> torch.Tensor:
    sequences: torch.Tensor = model.generate(
        **inputs, max_new_tokens=max_new_tokens, do_sample=False, logits_processor=LogitsProcessorList([follow])
    )
    return sequences
