"""A registered adapter that is shown something else than the sample's pictures: a control of a real model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from PIL import Image

from vtbench.adapter import BudgetAdapter
from vtbench.budget import Budget
from vtbench.registry import Registry
from vtbench.types import Capability, Output, Sample, VisualTokens

GREY = (128, 128, 128)


def grey(sample: Sample) -> Sample:
    """Return the sample with mid-grey pictures of the same size, and no scene."""
    return replace(sample, images=tuple(Image.new("RGB", image.size, GREY) for image in sample.images), scene=None)


class Wrapped:
    """Another adapter, with every sample changed on its way in.

    Args:
        control: the control's name.
        change: what is done to each sample.
        model: name of the adapter that answers; `model_args`, `device` and `dtype` go to it.

    Raises:
        VtbenchError: no adapter has this name, or it cannot be loaded.
    """

    def __init__(
        self,
        control: str,
        change: Callable[[Sample], Sample],
        model: str,
        model_args: Mapping[str, Any],
        device: str,
        dtype: str,
    ) -> None:
        self._control, self._change, self._model = control, change, model
        self._inner = Registry().adapter(model, model_args, device, dtype)
        self.capabilities: frozenset[Capability] = self._inner.capabilities - {"train"}
        self.image_size = self._inner.image_size
        self.layers = self._inner.layers
        self._batch: dict[int, tuple[Sample, Sample]] = {}

    def _changed(self, samples: Sequence[Sample]) -> list[Sample]:
        """Change each sample of a batch once, so that the adapter inside can tell that it meets them again."""
        if any(id(sample) not in self._batch for sample in samples):
            self._batch = {id(sample): (sample, self._change(sample)) for sample in samples}
        return [self._batch[id(sample)][1] for sample in samples]

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        """Answer about the changed pictures."""
        if budget is None:
            return self._inner.generate(self._changed(samples), max_new_tokens)
        return cast(BudgetAdapter, self._inner).generate(self._changed(samples), max_new_tokens, budget)

    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        """Rank answers about the changed pictures."""
        if budget is None:
            return self._inner.rank(self._changed(samples))
        return cast(BudgetAdapter, self._inner).rank(self._changed(samples), budget)

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return the changed pictures' tokens."""
        return self._inner.visual_tokens(self._changed(samples), layers)

    def describe(self) -> Mapping[str, Any]:
        """Describe the adapter inside, and what it is shown."""
        return {**self._inner.describe(), "control": self._control, "model": self._model}

    def close(self) -> None:
        """Close the adapter inside."""
        self._batch = {}
        self._inner.close()
