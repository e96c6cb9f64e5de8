"""Decoding and log-likelihoods through `model.generate`, which is right for every architecture that has it.

A choice is scored by forcing its tokens during decoding and reading their log-probabilities, so that positions, masks
and caches are the architecture's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationMixin, LogitsProcessor, LogitsProcessorList, StoppingCriteriaList

from vtbench_hf.decoding import Decoding, DrawnTokens, StopTexts

_DROPS_ARGUMENTS = frozenset({"janus"})
"""Model types whose own `generate` drops arguments (logits processors) on its way to that of transformers."""


class _LogprobRecorder(LogitsProcessor):
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
class Generated:
    """The result of decoding."""

    tokens: list[list[int]]
    """The new token ids of each row, up to and without the one that ends it."""
    first_BV: torch.Tensor
    """log p of the first new token, in nats."""


def stop_ids(model: Any) -> list[int]:
    """Return the token ids that end an answer (`eos_token_id` of the generation config)."""
    eos = model.generation_config.eos_token_id
    return [] if eos is None else [eos] if isinstance(eos, int) else list(eos)


def until_stop(tokens: Sequence[int], stop: Sequence[int]) -> list[int]:
    """Return the tokens before the first one in `stop`."""
    end = next((i for i, token in enumerate(tokens) if token in stop), len(tokens))
    return list(tokens[:end])


def generate(model: Any, inputs: Mapping[str, Any], max_new_tokens: int, decoding: Decoding | None = None) -> Generated:
    """Decode, greedily unless a `decoding` says otherwise."""
    recorder = _LogprobRecorder()
    sequences = _run(model, inputs, max_new_tokens, recorder, decoding)
    assert recorder.first_BV is not None
    # The prompt is part of the sequences for some architectures and not for others: count from the end.
    new = sequences[:, -recorder.steps :].tolist()
    new = new if decoding is None else decoding.cut(new)
    return Generated([until_stop(row, stop_ids(model)) for row in new], recorder.first_BV)


def score(
    model: Any,
    inputs: Mapping[str, Any],
    choices: Sequence[Sequence[Sequence[int]]],
    first_BV: torch.Tensor | None = None,
) -> list[list[float]]:
    """Return log p(choice | prompt) in nats, summed over the choice's tokens.

    Args:
        model: with a `generate` method.
        inputs: of the prompts, one row each.
        choices: token ids of each choice of each row, at least one id each.
        first_BV: log p of the first new token, where known: choices of one token then need no forward pass.
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
    recorder = _LogprobRecorder(torch.tensor(padded, device=inputs["input_ids"].device))
    _run(model, inputs, length, recorder)
    assert recorder.first_BV is not None
    steps_TB = torch.stack(recorder.forced)
    # Decoding ends early where all rows have stopped; the remaining steps are filler.
    return torch.nn.functional.pad(steps_TB, (0, 0, 0, length - len(steps_TB))), recorder.first_BV


def _run(
    model: Any,
    inputs: Mapping[str, Any],
    max_new_tokens: int,
    recorder: _LogprobRecorder,
    decoding: Decoding | None = None,
) -> torch.Tensor:
    more: dict[str, Any] = {}
    processors = LogitsProcessorList([recorder])
    if decoding is not None:
        processors.append(DrawnTokens(decoding))
        more = {"stopping_criteria": StoppingCriteriaList([StopTexts(decoding)])}
    # Drawn tokens are forced, so that each row has its own random numbers: generate() draws a batch from one stream.
    sequences: torch.Tensor = run_generate(
        model, inputs, max_new_tokens=max_new_tokens, do_sample=False, logits_processor=processors, **more
    )
    return sequences


def run_generate(model: Any, inputs: Mapping[str, Any], **options: Any) -> Any:
    """Run `model.generate`."""
    if model.config.model_type in _DROPS_ARGUMENTS:
        return GenerationMixin.generate(model, **inputs, **options)
    return model.generate(**inputs, **options)
