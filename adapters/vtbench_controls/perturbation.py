"""Controls of a real model: an adapter that sees a grey image, or the image of another sample.

A perturbation maps a sample to the same question about other images. `PerturbedAdapter` applies it to every sample
before another adapter gets it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from PIL import Image

from vtbench.adapter import BudgetAdapter, traits_of
from vtbench.budget import Budget
from vtbench.errors import SampleError
from vtbench.registry import Registry
from vtbench.types import Capability, Output, Sample, VisualTokens
from vtbench_controls.item_tasks import ItemTasks

GREY = (128, 128, 128)


def grey_images(sample: Sample) -> Sample:
    """Return the sample with mid-grey images of the same size and without its scene."""
    return replace(sample, images=tuple(Image.new("RGB", image.size, GREY) for image in sample.images), scene=None)


class SwappedImages:
    """Replaces a sample's images and scene by those of another item of the same task and split.

    The other item depends on the sample's id only and is rendered anew from the task named in that id. So it is the
    same at any batch size, in any order, and after a resume.

    Args:
        task_dir: a directory of task files, in addition to the built-in ones.
    """

    def __init__(self, task_dir: str | None = None) -> None:
        self._tasks = ItemTasks("shuffled", task_dir)

    def __call__(self, sample: Sample) -> Sample:
        """Return the sample with the images of another item.

        Raises:
            SampleError: the sample's task does not render images itself, or has no other item to take.
        """
        task = self._tasks.of(sample)
        size = sample.images[0].width if sample.images else None
        for attempt in range(len(task)):
            bits = hashlib.blake2b(f"{sample.id} {attempt}".encode(), digest_size=8).digest()
            other = task.sample(int.from_bytes(bits, "big") % len(task), size)
            if other.scene_hash != sample.scene_hash and (not sample.cluster or other.cluster != sample.cluster):
                return replace(sample, images=other.images, scene=other.scene)
        raise SampleError(f"{sample.id}: its task has no other image to show instead.")


class PerturbedAdapter:
    """Another adapter, which gets every sample perturbed.

    Args:
        control: name of the control.
        perturb: applied to each sample.
        model: name of the other adapter, created with `model_args`, `device` and `dtype`.

    Raises:
        VtbenchError: no adapter has this name, or it cannot be loaded.
    """

    def __init__(
        self,
        control: str,
        perturb: Callable[[Sample], Sample],
        model: str,
        model_args: Mapping[str, Any],
        device: str,
        dtype: str,
    ) -> None:
        self._control, self._perturb, self._model = control, perturb, model
        self._inner = Registry().adapter(model, model_args, device, dtype)
        self.capabilities: frozenset[Capability] = self._inner.capabilities - {"train"}
        self.image_size = self._inner.image_size
        self.layers = self._inner.layers
        self.traits = traits_of(self._inner)
        self._batch: dict[int, tuple[Sample, Sample]] = {}

    def _perturbed(self, samples: Sequence[Sample]) -> list[Sample]:
        """Return the perturbed samples, the same objects if a batch recurs: an adapter may cache by their identity."""
        if any(id(sample) not in self._batch for sample in samples):
            self._batch = {id(sample): (sample, self._perturb(sample)) for sample in samples}
        return [self._batch[id(sample)][1] for sample in samples]

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        """Answer about the perturbed images."""
        if budget is None:
            return self._inner.generate(self._perturbed(samples), max_new_tokens)
        return cast(BudgetAdapter, self._inner).generate(self._perturbed(samples), max_new_tokens, budget)

    def rank(self, samples: Sequence[Sample], budget: Budget | None = None) -> list[Output]:
        """Rank answers about the perturbed images."""
        if budget is None:
            return self._inner.rank(self._perturbed(samples))
        return cast(BudgetAdapter, self._inner).rank(self._perturbed(samples), budget)

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """Return the visual tokens of the perturbed images."""
        return self._inner.visual_tokens(self._perturbed(samples), layers)

    def describe(self) -> Mapping[str, Any]:
        """Return the facts of the other adapter and the name of the control."""
        return {**self._inner.describe(), "control": self._control, "model": self._model}

    def close(self) -> None:
        """Close the other adapter."""
        self._batch = {}
        self._inner.close()
