"""`CoordinateMetric`: base class of the metrics that reduce visual tokens to a few hundred coordinates a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL.Image import Resampling
from torch import Tensor

from vtbench.errors import SampleError
from vtbench.metric import Batch
from vtbench.types import Capability, Observation, Record, Sample, Score
from vtbench_redundancy.features.feature_encoder import Encoder, EncoderFit
from vtbench_redundancy.features.patch_layout import choose_layout, cut_token_and_grid_patches
from vtbench_redundancy.metrics.token_form import MOST_COUNTS, TokenForm
from vtbench_redundancy.protocol import Protocol


@dataclass(slots=True)
class _OneCount:
    """What is fitted on the images of one token count."""

    fit: EncoderFit
    cells_m4: np.ndarray
    """Parts of the image that the measured tokens stand for."""
    size: tuple[int, int]
    """Width and height to which images are brought; 0, 0: parts are cut from each image as it is."""
    counts: Mapping[str, int]
    """Tokens of an image, by layer."""
    images: int = 0


class CoordinateMetric:
    """Fits principal components on the first samples, and reduces every sample to its coordinates.

    Where images have unequal numbers of tokens, they are pooled to a grid that the first images share, on which the
    components are then fitted; the scores are flagged `pooled`. Without such a grid those of the most frequent number
    among the first samples are measured and the others are not, flagged `one_token_count`.

    An observation holds, as float32, the coordinates of the sample's tokens `tokens/<layer>` (S, m, r) at each layer
    that the adapter gives, of the patches that the first layer's stand for, `patches` (m, r), and of the image,
    `pixels` (P, r_x // P).
    """

    needs: frozenset[Capability] = frozenset({"visual_tokens"})
    layers: tuple[str, ...] = ("connector",)

    def __init__(self, protocol: Protocol = Protocol()) -> None:  # noqa: B008
        self.protocol = protocol
        self.fit_samples = protocol.warmup
        self._fits: dict[tuple[int, ...], _OneCount] = {}
        self._form = TokenForm()
        self._encoder: Encoder | None = None
        self._counts: dict[str, int] = {}

    def partial_fit(self, batch: Batch) -> None:
        """Fit the principal components; the first batch of a token count fixes its measured tokens and image size."""
        batch = self._form.of_first(batch, self.layers)
        tokens = self._tokens(batch)
        key = tuple(array.shape[1] for array in tokens.values())
        if key not in self._fits:
            if len(self._fits) == MOST_COUNTS:
                raise SampleError(f"redundancy: images of more than {MOST_COUNTS} numbers of visual tokens")
            self._fits[key] = self._begun(batch, tokens)
        one = self._fits[key]
        good = torch.stack([array.isfinite().flatten(1).all(dim=1) for array in tokens.values()]).all(dim=0)
        rows = good.nonzero().flatten().tolist()  # the others fail in `observe`, with a message
        if rows:
            own, whole = self._patches([batch.samples[i] for i in rows], one.cells_m4, one.size, good.device)
            one.fit.update({layer: array[rows] for layer, array in tokens.items()}, own, whole)
            one.images += len(rows)

    def fit_again(self) -> bool:
        """Return whether the first images are to be seen once more, pooled to the grid that they share."""
        again = self._form.choose()
        if again:
            self._fits = {}
        return again

    def _begun(self, batch: Batch, tokens: Mapping[str, Tensor]) -> _OneCount:
        """Return the fit of a token count before its first batch."""
        p = self.protocol
        layouts = {
            layer: choose_layout(array.shape[1], batch.visual[layer].boxes_of(0), p.m, p.subsets, p.seed)
            for layer, array in tokens.items()
        }
        fit = EncoderFit(p, {layer: layout.chosen_Sm for layer, layout in layouts.items()})
        cells_m4 = next(iter(layouts.values())).cells_m4
        counts = {layer: array.shape[1] for layer, array in tokens.items()}
        return _OneCount(fit, cells_m4, (0, 0) if self._form.pools else batch.samples[0].images[0].size, counts)

    def state(self) -> Mapping[str, np.ndarray]:
        """Return the fitted components, with the layout and the image size that they belong to.

        Raises:
            SampleError: no sample had finite tokens.
        """
        most = max(self._fits.values(), key=lambda one: one.images, default=None)  # the first of equals
        if most is None or most.fit.empty:
            raise SampleError(
                "redundancy: none of the first samples has finite visual tokens; is the model's dtype too narrow?"
            )
        counts = {f"count/{layer}": np.array(count) for layer, count in most.counts.items()}
        return (
            most.fit.encoder().arrays()
            | counts
            | self._form.arrays()
            | {"cells": most.cells_m4, "picture_size": np.array(most.size)}
        )

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore fitted components."""
        self._fits, self._form, self._encoder = {}, TokenForm.of(state), Encoder.of(state)
        self._counts = {layer: int(state[f"count/{layer}"]) for layer in self._encoder.chosen}
        self._cells = np.asarray(state["cells"])
        width, height = (int(side) for side in state["picture_size"])
        self._size = (width, height)

    def observe(self, batch: Batch) -> list[Observation]:
        """Reduce each sample to its coordinates.

        Raises:
            SampleError: tokens that are not finite, or not as many as in the first samples, or that do not fill the
                grid.
        """
        if self._encoder is None:
            raise RuntimeError("restore() comes before observe()")
        batch = self._form.pooled(batch)
        tokens = self._tokens(batch)
        for layer, array in tokens.items():
            if array.shape[1] != self._counts.get(layer):
                raise SampleError(
                    f"redundancy: {array.shape[1]} visual tokens at {layer} where most of the first samples had "
                    f"{self._counts.get(layer, 'none')}"
                )
            for sample, bad in zip(batch.samples, (~array.isfinite()).sum(dim=(1, 2)).tolist(), strict=True):
                if bad:
                    raise SampleError(
                        f"redundancy: {bad} values of the visual tokens of {sample.id} at {layer} are NaN or infinite"
                    )
        device = next(iter(tokens.values())).device
        found = self._encoder.encode(tokens, *self._patches(batch.samples, self._cells, self._size, device))
        return [{name: array[i] for name, array in found.items()} for i in range(len(batch.samples))]

    def facts(self, layer: str) -> dict[str, object]:
        """Return the details of a score of `layer`."""
        known = self._encoder is not None and layer in self._counts
        if not known or self._encoder is None:
            return {"layer": layer}
        shape = {"N": self._counts[layer], "d": len(self._encoder.tokens[layer].mean)}
        return {"layer": layer, **shape, **self._form.facts(layer)}

    def flagged(self, scores: Mapping[str, Score]) -> dict[str, Score]:
        """Say of scores that tokens were pooled, or that they are of the images of one token count."""
        return self._form.flagged(scores)

    def measured(self) -> list[str]:
        """Return the layers that the adapter gave, the headline one first."""
        return [layer for layer in self.layers if layer in self._counts]

    def _tokens(self, batch: Batch) -> dict[str, Tensor]:
        return {layer: torch.as_tensor(batch.visual[layer].tokens) for layer in self.layers if layer in batch.visual}

    def _patches(
        self, samples: Sequence[Sample], cells_m4: np.ndarray, size: tuple[int, int], device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Return the patches that stand for the measured tokens, and those of the whole image, of each sample."""
        if all(size):
            return cut_token_and_grid_patches(_images(samples, size, device), cells_m4, self.protocol)
        cut = [
            cut_token_and_grid_patches(_images([one], one.images[0].size, device), cells_m4, self.protocol)
            for one in samples
        ]
        return torch.cat([own for own, _ in cut]), torch.cat([whole for _, whole in cut])


def unique_images(
    records: Sequence[Record], observations: Sequence[Observation]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Stack the observations of distinct images, and return their clusters. Questions about one image count once."""
    seen: dict[object, int] = {}
    for i, record in enumerate(records):
        seen.setdefault(record.image_sha256 or i, i)
    rows = list(seen.values())
    names = list(observations[rows[0]]) if rows else []
    arrays = {name: np.stack([observations[i][name] for i in rows]) for name in names}
    return arrays, [records[i].cluster or records[i].id for i in rows]


def compute_device() -> torch.device:
    """Return the device that scores are computed on."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _images(samples: Sequence[Sample], size: tuple[int, int], place: torch.device) -> Tensor:
    """Return the samples' first images (b, H, W, 3), resized to one size."""
    images = (sample.images[0].convert("RGB") for sample in samples)
    same = [p if p.size == size else p.resize(size, Resampling.BICUBIC) for p in images]
    return torch.as_tensor(np.stack([np.asarray(p) for p in same]), device=place)
