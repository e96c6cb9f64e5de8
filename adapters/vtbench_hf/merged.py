"""Faster decoding where picture embeddings simply take the place of placeholder tokens in front of a causal decoder.

The prompt, pictures and all, is run once, and both the greedy answer and the choices go on from there. Token budgets
make shorter prompts of it, for which the vision tower and the connector are not run again. What reading the prompt and
decoding take is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from vtbench.budget import Budget, checked_weights
from vtbench.errors import AdapterError
from vtbench.types import Output, Sample, VisualTokens
from vtbench_hf.adapter import HFAdapter, Inputs
from vtbench_hf.loading import Loaded
from vtbench_hf.prefix import Prefix
from vtbench_hf.thinning import thin
from vtbench_hf.timing import now

MERGED = frozenset({"llava", "idefics3", "internvl"})
"""Model types that `MergedAdapter` is tested to serve as their own `generate` does, with nothing else known of them."""


@dataclass(frozen=True, slots=True)
class Thinned:
    """A batch's prompts under a budget, and what it took to make them."""

    asked: tuple[Budget, tuple[str, ...]]
    """The budget, and the samples' keys, by which it may have drawn."""
    inputs: Inputs
    seconds: float


class MergedAdapter(HFAdapter):
    """Serves models whose decoder is plain and causal, sharing one run over the prompt."""

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded)
        if self.layers:
            self.capabilities |= {"budget"}

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        """Answer greedily from what the budget leaves of the pictures."""
        with self._batch(samples):
            inputs = self._prompts(samples, budget)
            outputs = self._answers(inputs, max_new_tokens)
            prefill, decode = (seconds / len(samples) for seconds in self._memo.known("seconds") or ())
            return [
                replace(output, visual_tokens_in=n, prefill_seconds=prefill, decode_seconds=decode)
                for output, n in zip(outputs, self._counts(inputs, samples), strict=True)
            ]

    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        """Score each sample's choices from what the budget leaves of the pictures."""
        with self._batch(samples):
            inputs = self._prompts(samples, budget)
            ranked = zip(self._rankings(inputs, samples), self._counts(inputs, samples), strict=True)
            return [replace(output, visual_tokens_in=n) for output, n in ranked]

    def _prompts(self, samples: Sequence[Sample], budget: Budget | None) -> Inputs:
        """Return the batch's inputs; under a budget, with `inputs_embeds` of the shorter prompts.

        Raises:
            SampleError: under a budget, the samples do not have equally many visual tokens.
        """
        inputs = self._shared_inputs(samples)
        if budget is None or "pixel_values" not in inputs:
            return inputs
        tokens_BND = self._layer("connector", inputs, samples)
        known, asked = self._memo.known("thinned"), (budget, tuple(sample.id for sample in samples))
        if known is None or known.asked != asked:
            began = now(self.model.device)
            known = Thinned(asked, self._thin(samples, inputs, tokens_BND, budget), now(self.model.device) - began)
            self._memo.keep("thinned", known)
        thinned: Inputs = known.inputs
        return thinned

    def _thin(self, samples: Sequence[Sample], inputs: Inputs, tokens_BND: torch.Tensor, budget: Budget) -> Inputs:
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
        prefix, reading = self._prefix(inputs)
        began = now(self.model.device)
        tokens = prefix.greedy(max_new_tokens)
        self._memo.keep("seconds", (reading, now(self.model.device) - began))
        return tokens

    def _score(self, inputs: Inputs, choices: Sequence[Sequence[Sequence[int]]]) -> list[list[float]]:
        return self._prefix(inputs)[0].score(choices)

    def _prefix(self, inputs: Inputs) -> tuple[Prefix, float]:
        """Return what `_read` does: once for answers and likelihoods, unless others come between."""
        known = self._memo.known("prefix")
        if known is None or known[0] is not inputs:
            known = (inputs, *self._read(inputs))
            self._memo.keep("prefix", known)
        return known[1], known[2]

    def _read(self, inputs: Inputs) -> tuple[Prefix, float]:
        """Return the prompts as read, and the seconds that it took to make them of the visual tokens and read them."""
        if "pixel_values" in inputs:
            self._features(inputs)  # before the clock starts: the tower's work is the same under every budget
        began = now(self.model.device)
        embeds_BPD = self._embeddings(inputs)
        prefix = Prefix.read(self._reader(), embeds_BPD, inputs["attention_mask"], self._positions(inputs))
        thinned = self._memo.known("thinned")
        before = thinned.seconds if thinned is not None and thinned.inputs is inputs else 0.0
        return prefix, before + now(self.model.device) - began

    def _reader(self) -> Any:
        """Return what reads embeddings: a decoder with its head, the whole model where that passes them on."""
        return self.model

    def _embeddings(self, inputs: Inputs) -> torch.Tensor:
        """Return the prompts' embeddings with the pictures' in the place of the placeholders, (B, P, d)."""
        if "inputs_embeds" in inputs:
            made: torch.Tensor = inputs["inputs_embeds"]
            return made
        embeds_BPD = self.model.get_input_embeddings()(inputs["input_ids"])
        if "pixel_values" not in inputs:
            return embeds_BPD
        rows = self._placed(inputs)
        rows = torch.cat([row.reshape(-1, row.shape[-1]) for row in rows]) if isinstance(rows, list) else rows
        place_BP = self._placeholders(inputs)
        if int(place_BP.sum()) * embeds_BPD.shape[-1] != rows.numel():
            raise AdapterError(
                f"{self._loaded.checkpoint}: its processor makes {int(place_BP.sum())} placeholders for"
                f" {rows.numel() // embeds_BPD.shape[-1]} visual tokens: they do not belong together"
            )
        return embeds_BPD.masked_scatter(place_BP[..., None], rows.to(embeds_BPD.dtype))

    def _placed(self, inputs: Inputs) -> torch.Tensor | list[torch.Tensor]:
        """Return what takes the place of the placeholders, in their order: more than visual tokens in some families."""
        return self._connector(inputs)

    def _counts(self, inputs: Inputs, samples: Sequence[Sample]) -> list[int]:
        """Return how many visual tokens each prompt holds: all, less what it is shorter than the whole one."""
        whole = self._shared_inputs(samples)
        every = zip(self._places(whole).sum(1).tolist(), self._lengths(whole), self._lengths(inputs), strict=True)
        return [count - before + after for count, before, after in every]

    def _positions(self, inputs: Inputs) -> torch.Tensor:
        """Return positions that count from the whole prompt's first token, whatever padding stands before it."""
        if "position_ids" in inputs:
            known: torch.Tensor = inputs["position_ids"]
            return known
        return (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)


def adapter_class(model_type: str) -> type[HFAdapter]:
    """Return the fastest adapter that serves a model type exactly."""
    return MergedAdapter if model_type in MERGED else HFAdapter
