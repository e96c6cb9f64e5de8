"""A minimal adapter with every capability of a model: for tests, and as an example for adapter authors.

Its answer is the question itself or a fixed text; its visual tokens are the pixels of the image's patches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from vtbench.adapter import PLAIN, Traits
from vtbench.budget import Budget, checked_weights
from vtbench.errors import AdapterError
from vtbench.types import Capability, Output, Sample, VisualTokens
from vtbench_controls.symbolic import choice_logprobs

GRID = 8
PATCH = 4
"""Each of the 8 x 8 tokens is a patch of 4 x 4 RGB pixels: d = 48."""


def patches(image: Image.Image) -> np.ndarray:
    """Return an RGB image as patches of shape (64, 48), floats in [0, 1], row by row from the top left."""
    side = GRID * PATCH
    small = np.asarray(image.resize((side, side), Image.Resampling.BOX), dtype=np.float32) / 255
    grid = small.reshape(GRID, PATCH, GRID, PATCH, 3).transpose(0, 2, 1, 3, 4)
    return grid.reshape(GRID * GRID, PATCH * PATCH * 3)


class Echo:
    """Answers with the question itself, or with a fixed text."""

    capabilities: frozenset[Capability] = frozenset({"generate", "rank", "visual_tokens", "budget"})
    image_size: int | None = None
    layers: tuple[str, ...] = ("connector",)
    traits = Traits(prompt_format=PLAIN)

    def __init__(self, text: object = None) -> None:
        # The command line reads values as YAML: `text=yes` arrives as True, `text=3` as 3.
        self._text = {True: "yes", False: "no"}[text] if isinstance(text, bool) else text if text is None else str(text)

    def _answer(self, sample: Sample) -> str:
        return sample.prompt if self._text is None else self._text

    def _token_counts(self, samples: Sequence[Sample], budget: Budget | None) -> list[Output]:
        """Return outputs with token counts: the visual tokens that a budget keeps, plus the words of the question."""
        kept = [GRID * GRID] * len(samples)
        if budget is not None:
            (visual,) = self.visual_tokens(samples, ["connector"])
            kept = [len(rows) for rows in checked_weights(budget, visual, [sample.id for sample in samples])]
        return [
            Output(tokens_in=len(sample.prompt.split()) + k, visual_tokens_in=k)
            for sample, k in zip(samples, kept, strict=True)
        ]

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        """Return the text."""
        counted = self._token_counts(samples, budget)
        return [
            replace(output, text=self._answer(sample), finish_reason="stop")
            for sample, output in zip(samples, counted, strict=True)
        ]

    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        """Return log-probabilities with most of the mass on the choice in the text; uniform if it names none."""
        return [
            replace(
                output,
                logprobs=choice_logprobs(self._answer(sample), sample.choices),
                logprob_tokens=(1,) * len(sample.choices),
            )
            for sample, output in zip(samples, self._token_counts(samples, budget), strict=True)
        ]

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return the patches of each sample's first image.

        Raises:
            AdapterError: there is no such layer.
        """
        if unknown := [layer for layer in layers if layer not in self.layers]:
            raise AdapterError(f"echo has no layer {unknown[0]!r}; it has {', '.join(self.layers)}.")
        tokens = np.stack([patches(sample.images[0]) for sample in samples])
        left, top = (axis.ravel() / GRID for axis in np.meshgrid(np.arange(GRID), np.arange(GRID)))
        boxes = np.stack([left, top, left + 1 / GRID, top + 1 / GRID], axis=1)
        return [VisualTokens(layer, tokens, boxes) for layer in layers]

    def describe(self) -> Mapping[str, Any]:
        """Return the name of the control and its text."""
        return {"checkpoint": "control:Echo", "parameters": 0, "device": "cpu", "text": self._text}

    def close(self) -> None:
        """Do nothing."""
