"""`CoordinateMetric`: base class of the metrics that reduce visual tokens to a few hundred coordinates a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from PIL.Image import Resampling
from torch import Tensor

from vtbench.errors import SampleError
from vtbench.metric import Batch
from vtbench.types import Capability, Observation, Sample, Score, Task
from vtbench_redundancy.features.colour_axes import colour_axes
from vtbench_redundancy.features.feature_encoder import Encoder, EncoderFit
from vtbench_redundancy.features.patch_layout import ACROSS_CELLS, choose_layout, cut_token_and_grid_patches
from vtbench_redundancy.metrics.basis_task import basis_name, basis_task, sample_numbers
from vtbench_redundancy.metrics.stacked_observations import BASIS
from vtbench_redundancy.metrics.target_columns import TargetColumns
from vtbench_redundancy.metrics.token_form import MOST_COUNTS, TokenForm
from vtbench_redundancy.protocol import Protocol, named_protocol


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
    columns: int = 0
    """Columns that the images have beside their pixels (`TargetColumns`)."""
    complete: bool = True
    """Whether every image had them."""
    samples: list[np.ndarray] = field(default_factory=list)
    """Numbers of the samples' names (`sample_numbers`), by batch."""


class CoordinateMetric:
    """Fits a basis on images that are not scored (`basis_task`), and reduces every sample to its coordinates.

    Where the basis images have unequal numbers of tokens, these are pooled to a grid that the images share, and the
    basis is fitted in a second round on the pooled tokens; the scores are flagged `pooled`. Without such a grid the
    images of the most frequent number are measured and the others are not, flagged `one_token_count`.

    An observation holds, as float32, the coordinates of the sample's tokens `tokens/<layer>` (S, m, r) at each layer
    that the adapter gives, of the patches that the first layer's stand for, `patches` (m, r), and of the image,
    `pixels` (P, r_x // P); of layers with more tokens than are measured also `cells/<layer>` (m, r), averages of all.
    With another target than pixels it has that one's coordinates, `target` (q,). A metric with `scores_cues` also
    stores the scene's `cues` (c,), and in `cue_tokens/<layer>` and `cue_cells/<layer>` the coordinates that say most
    about them, where tokens are reduced.
    """

    needs: frozenset[Capability] = frozenset({"visual_tokens"})
    layers: tuple[str, ...] = ("connector",)
    scores_cues = False
    """Whether the metric measures what tokens say about the cues of scenes, beside what they say about its target."""

    def __init__(self, protocol: Protocol = Protocol()) -> None:  # noqa: B008
        self.protocol = protocol
        self._targets = TargetColumns(protocol, self.scores_cues)
        self.fit_samples = protocol.basis_images
        self._fits: dict[tuple[int, ...], _OneCount] = {}
        self._form = TokenForm()
        self._encoder: Encoder | None = None
        self._counts: dict[str, int] = {}
        self._basis = np.empty(0, np.int64)
        self._basis_n: int | None = None
        self._basis_of: str | None = None

    def check_task(self, task: Task) -> None:
        """Check that the task has the target.

        Raises:
            InputError, SampleError: see `TargetColumns.check`.
        """
        self._targets.check(task)

    def fit_task(self, task: Task) -> Task:
        """Return the task that the basis is fitted on.

        Raises:
            InputError: the target is a file that does not fit the task.
        """
        self._targets.prepare(task)
        basis = basis_task(task, self.protocol)
        self._basis_of = basis_name(basis, task)
        return basis

    def partial_fit(self, batch: Batch) -> None:
        """Fit the basis; the first batch of a token count fixes its measured tokens and image size."""
        batch = self._form.of_first(batch, self.layers)
        tokens = self._tokens(batch)
        key = tuple(array.shape[1] for array in tokens.values())
        if key not in self._fits:
            if len(self._fits) == MOST_COUNTS:
                raise SampleError(f"redundancy: images of more than {MOST_COUNTS} numbers of visual tokens")
            self._fits[key] = self._begun(batch, tokens)
        one = self._fits[key]
        one.samples.append(sample_numbers(batch.samples))
        good = torch.stack([array.isfinite().flatten(1).all(dim=1) for array in tokens.values()]).all(dim=0)
        rows = good.nonzero().flatten().tolist()  # the others fail in `observe`, with a message
        if rows:
            own, whole = self._patches([batch.samples[i] for i in rows], one.cells_m4, one.size, good.device)
            columns = self._targets.of([batch.samples[i] for i in rows]) if one.columns else None
            if one.columns and columns is None:
                one.complete, columns = False, np.zeros((len(rows), one.columns), np.float32)
            one.fit.update(
                {layer: array[rows] for layer, array in tokens.items()}, own, whole,
                None if columns is None else torch.as_tensor(columns),
            )  # fmt: skip

    def fit_again(self) -> bool:
        """Return whether the basis images are to be seen once more, pooled to the grid that they share."""
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
        axes = colour_axes(p.patch_pixels, 255.0, max(1, p.r_x // p.cells)) if p.colour else None
        columns = self._targets.of(batch.samples)
        width = 0 if columns is None else columns.shape[1]
        fit = EncoderFit(p, layouts, axes, width)
        cells_m4 = next(iter(layouts.values())).cells_m4
        counts = {layer: array.shape[1] for layer, array in tokens.items()}
        size = (0, 0) if self._form.pools else batch.samples[0].images[0].size
        return _OneCount(fit, cells_m4, size, counts, width)

    def state(self) -> Mapping[str, np.ndarray]:
        """Return the fitted basis, with the protocol, the layout and the image size that it belongs to.

        Raises:
            SampleError: no sample had finite tokens.
        """
        most = max(self._fits.values(), key=lambda one: one.fit.images, default=None)  # the first of equals
        if most is None or not most.fit.images:
            raise SampleError(
                "redundancy: none of the first samples has finite visual tokens; is the model's dtype too narrow?"
            )
        facts = {f"count/{layer}": np.array(count) for layer, count in most.counts.items()}
        facts |= {"cells": most.cells_m4, "picture_size": np.array(most.size), "basis_n": np.array(most.fit.images)}
        if self._basis_of is not None:
            facts["basis_of"] = np.array(self._basis_of)
        if self.protocol.held_out:
            facts["basis_samples"] = np.concatenate(most.samples)
        facts["protocol"] = np.array(self.protocol.name)
        has_columns = most.columns > 0 and most.complete
        encoder = most.fit.encoder()
        if not has_columns:
            encoder = replace(encoder, cue_tokens={}, cue_cells={})
        return encoder.arrays() | facts | self._targets.arrays(has_columns) | self._form.arrays()

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore a fitted basis, and the protocol that it was fitted for: a run begun under `rs-v1` stays so."""
        current = self.protocol.name
        stored = str(state["protocol"]) if "protocol" in state else current.replace(Protocol().name, "rs-v1")
        if stored != current:
            self.protocol = named_protocol(stored, self.protocol.seed)
        self._targets.restore(state, self.protocol)
        self._basis = np.asarray(state.get("basis_samples", self._basis))
        self._basis_n = int(state["basis_n"]) if "basis_n" in state else None
        self._basis_of = str(state["basis_of"]) if "basis_of" in state else None
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
            raise RuntimeError("load_state() comes before observe()")
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
        found |= self._targets.observed(batch.samples)
        seen = np.isin(sample_numbers(batch.samples), self._basis)
        return [
            {BASIS: True} if seen[i] else {name: array[i] for name, array in found.items()}
            for i in range(len(batch.samples))
        ]

    def facts(self, layer: str) -> dict[str, object]:
        """Return the details of a score of `layer`."""
        known = self._encoder is not None and layer in self._counts
        if not known or self._encoder is None:
            return {"layer": layer}
        d, kept = self._encoder.tokens[layer].axes.shape
        basis = self.protocol.basis if d > kept else "none"
        facts = {"layer": layer, "N": self._counts[layer], "d": d, "basis": basis, "basis_n": self._basis_n}
        if self._basis_of is not None:
            facts["basis_of"] = self._basis_of
        cells = self._encoder.cell_of.get(layer)
        if cells is not None and cells.ndim == 2:
            facts[ACROSS_CELLS] = True
        return facts | self._form.facts(layer)

    def flagged(self, scores: Mapping[str, Score]) -> dict[str, Score]:
        """Say of scores that tokens were pooled, or that they are of the images of one token count."""
        return self._form.flagged(scores)

    @property
    def why_no_cues(self) -> str | None:
        """Why a metric with `scores_cues` has none; None where it has."""
        return self._targets.why_no_cues

    @property
    def properties(self) -> dict[str, list[int]]:
        """The cues' columns by property of the objects."""
        return self._targets.properties

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


def _images(samples: Sequence[Sample], size: tuple[int, int], place: torch.device) -> Tensor:
    """Return the samples' first images (b, H, W, 3), resized to one size."""
    images = (sample.images[0].convert("RGB") for sample in samples)
    same = [p if p.size == size else p.resize(size, Resampling.BICUBIC) for p in images]
    return torch.as_tensor(np.stack([np.asarray(p) for p in same]), device=place)
