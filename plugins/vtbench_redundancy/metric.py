"""The Redundancy Score of a run: batches in, a few hundred numbers a sample, five scores out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from PIL.Image import Resampling
from torch import Tensor

from vtbench.errors import SampleError, VtbenchError
from vtbench.metric import Batch
from vtbench.types import Capability, Observation, Record, Sample, Score
from vtbench_redundancy.basis import Basis, BasisFit, Places
from vtbench_redundancy.layout import Layout, cut_both, lay_out
from vtbench_redundancy.protocol import MIN_IMAGES, Protocol
from vtbench_redundancy.score import score_coordinates, unknown

_BASIS = tuple(Basis.__dataclass_fields__)


class RedundancyMetric:
    """RS, R_pix, ΔRS, N_eff and what was discarded, at the connector's output.

    An observation holds the coordinates of the sample's tokens (S, m, r), of the patches that they stand for (m, r) and
    of the picture (r_x), as float32.
    """

    needs: frozenset[Capability] = frozenset({"visual_tokens"})

    def __init__(self, protocol: Protocol = Protocol(), layer: str = "connector") -> None:  # noqa: B008
        self.layer = layer
        self.warmup = protocol.warmup
        self._protocol = protocol
        self._basis: Basis | None = None

    def fit(self, batches: Iterable[Batch]) -> Mapping[str, np.ndarray]:
        """Fit the principal components, and fix which tokens are measured and the size that pictures are brought to."""
        fit = BasisFit(self._protocol)
        layout, size, count = None, (0, 0), 0
        for batch in batches:
            tokens, boxes = self._tokens(batch)
            if layout is None:
                layout = lay_out(tokens.shape[1], boxes, self._protocol.m, self._protocol.subsets, self._protocol.seed)
                size, count = batch.samples[0].images[0].size, tokens.shape[1]
            finite = tokens.isfinite().flatten(1).all(dim=1).tolist()  # the others fail in `observe`, with a message
            rows = [i for i, good in enumerate(finite) if good]
            if rows and tokens.shape[1] == count:
                pictures = _pictures([batch.samples[i] for i in rows], size, tokens.device)
                own, whole = cut_both(pictures, layout.cells_m4, self._protocol)
                fit.update(Places.of(tokens[rows], layout.chosen_Sm, own, whole))
        if layout is None or fit.empty:
            raise VtbenchError(
                "redundancy: none of the first samples has finite visual tokens; is the model's dtype too narrow?"
            )
        basis = fit.basis()
        return {name: getattr(basis, name) for name in _BASIS} | {
            "chosen": layout.chosen_Sm,
            "cells": layout.cells_m4,
            "picture_size": np.array(size),
            "token_count": np.array(count),
        }

    def restore(self, basis: Mapping[str, np.ndarray]) -> None:
        """Take up a basis that `fit` returned."""
        self._basis = Basis(**{name: np.asarray(basis[name]) for name in _BASIS})
        self._layout = Layout(np.asarray(basis["chosen"]), np.asarray(basis["cells"]))
        width, height = (int(side) for side in basis["picture_size"])
        self._size = (width, height)
        self._count = int(basis["token_count"])

    def observe(self, batch: Batch) -> list[Observation]:
        """Reduce each sample to its coordinates.

        Raises:
            SampleError: tokens that are not finite, or not as many as in the first samples.
        """
        if self._basis is None:
            raise RuntimeError("restore() comes before observe()")
        tokens, _ = self._tokens(batch)
        if tokens.shape[1] != self._count:
            raise SampleError(f"redundancy: {tokens.shape[1]} visual tokens where the first samples had {self._count}")
        for sample, bad in zip(batch.samples, (~tokens.isfinite()).sum(dim=(1, 2)).tolist(), strict=True):
            if bad:
                raise SampleError(f"redundancy: {bad} values of the visual tokens of {sample.id} are NaN or infinite")
        own, whole = cut_both(
            _pictures(batch.samples, self._size, tokens.device), self._layout.cells_m4, self._protocol
        )
        found = self._basis.encode(Places.of(tokens, self._layout.chosen_Sm, own, whole))
        return [{name: array[i] for name, array in found.items()} for i in range(len(batch.samples))]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Score the answered samples. Questions about one and the same picture count once."""
        seen: dict[object, int] = {}
        for i, record in enumerate(records):
            seen.setdefault(record.image_sha256 or i, i)
        rows = list(seen.values())
        facts: dict[str, object] = {"layer": self.layer}
        if self._basis is not None:
            facts |= {"N": self._count, "d": len(self._basis.token_mean)}
        if len(rows) < MIN_IMAGES:
            return unknown("few_images", len(rows), facts | {"images_needed": MIN_IMAGES}).scores()
        arrays = {name: np.stack([observations[i][name] for i in rows]) for name in ("tokens", "patches", "pixels")}
        clusters = [records[i].cluster or records[i].id for i in rows]
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return score_coordinates(
            **arrays, protocol=self._protocol, clusters=clusters, detail=facts, device=device
        ).scores()

    def _tokens(self, batch: Batch) -> tuple[Tensor, np.ndarray | None]:
        visual = batch.visual[self.layer]
        return torch.as_tensor(visual.tokens), visual.boxes


def _pictures(samples: Sequence[Sample], size: tuple[int, int], device: torch.device) -> Tensor:
    """The samples' first pictures (b, H, W, 3), brought to one size."""
    pictures = (sample.images[0].convert("RGB") for sample in samples)
    same = [p if p.size == size else p.resize(size, Resampling.BICUBIC) for p in pictures]
    return torch.as_tensor(np.stack([np.asarray(p) for p in same]), device=device)
