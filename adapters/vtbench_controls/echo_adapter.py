"""The smallest adapter, with every capability of a model: for tests, and to read before writing one.

In: samples. Out: the question itself or a fixed text, and the pictures' patches as visual tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from vtbench.budget import Budget, checked_weights
from vtbench.errors import AdapterError
from vtbench.types import Capability, Output, Sample, VisualTokens
from vtbench_controls.readers import believe

GRID = 8
PATCH = 4
"""Each of the 8 x 8 tokens is its patch at 4 x 4 pixels: d = 48."""


def patches(image: Image.Image) -> np.ndarray:
    """Return an RGB picture as (64, 48) floats in [0, 1], row by row from the top left."""
    side = GRID * PATCH
    small = np.asarray(image.resize((side, side), Image.Resampling.BOX), dtype=np.float32) / 255
    grid = small.reshape(GRID, PATCH, GRID, PATCH, 3).transpose(0, 2, 1, 3, 4)
    return grid.reshape(GRID * GRID, PATCH * PATCH * 3)


class Echo:
    """Gives the question back, or a fixed text."""

    capabilities: frozenset[Capability] = frozenset({"generate", "rank", "visual_tokens", "budget"})
    image_size: int | None = None
    layers: tuple[str, ...] = ("connector",)

    def __init__(self, text: object = None) -> None:
        # On the command line, `text=yes` and `text=3` arrive as what they are in YAML.
        self._text = {True: "yes", False: "no"}[text] if isinstance(text, bool) else text if text is None else str(text)

    def _says(self, sample: Sample) -> str:
        return sample.prompt if self._text is None else self._text

    def _read(self, samples: Sequence[Sample], budget: Budget | None) -> list[Output]:
        """Count the visual tokens that a budget leaves, and with them the words of each question."""
        kept = [GRID * GRID] * len(samples)
        if budget is not None:
            (visual,) = self.visual_tokens(samples, ["connector"])
            kept = [len(rows) for rows in checked_weights(budget, visual, [sample.id for sample in samples])]
        return [
            Output(tokens_in=len(sample.prompt.split()) + k, visual_tokens_in=k)
            for sample, k in zip(samples, kept, strict=True)
        ]

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        """Say it."""
        read = self._read(samples, budget)
        return [replace(output, text=self._says(sample)) for sample, output in zip(samples, read, strict=True)]

    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        """Believe in the choice that the text gives; all alike where it gives none."""
        return [
            replace(
                output,
                logprobs=believe(self._says(sample), sample.choices),
                logprob_tokens=(1,) * len(sample.choices),
            )
            for sample, output in zip(samples, self._read(samples, budget), strict=True)
        ]

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return the patches of each sample's first picture.

        Raises:
            AdapterError: a layer that it does not have.
        """
        if unknown := [layer for layer in layers if layer not in self.layers]:
            raise AdapterError(f"echo has no layer {unknown[0]!r}; it has {', '.join(self.layers)}.")
        tokens = np.stack([patches(sample.images[0]) for sample in samples])
        left, top = (axis.ravel() / GRID for axis in np.meshgrid(np.arange(GRID), np.arange(GRID)))
        boxes = np.stack([left, top, left + 1 / GRID, top + 1 / GRID], axis=1)
        return [VisualTokens(layer, tokens, boxes) for layer in layers]

    def describe(self) -> Mapping[str, Any]:
        """Name it."""
        return {"checkpoint": "control:Echo", "parameters": 0, "device": "cpu", "text": self._text}

    def close(self) -> None:
        """Nothing to give back."""
