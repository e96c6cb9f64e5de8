"""`TokenForm`: whether a metric measures visual tokens as they are, or pooled since their counts are unequal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vtbench.metric import Batch
from vtbench.types import Score
from vtbench_redundancy.features.unequal_counts import CommonGrids, FirstTokens

POOLED = "pooled"
"""Flag of a score of tokens that were pooled to a common grid."""
ONE_TOKEN_COUNT = "one_token_count"
"""Flag of a score of the images of one token count, where there are others."""
PARTIAL_PATH = "partial_path"
"""Flag of a score of tokens beside which the image enters the decoder by a further path."""
MOST_COUNTS = 8
"""Token counts for which components are fitted side by side, in the order in which they turn up."""


class TokenForm:
    """The form in which a metric measures tokens: as they are, or pooled to the grids that the first images share.

    A metric hands it every batch, asks it in `fit_again`, and stores its arrays in its state.
    """

    def __init__(self) -> None:
        self._first: FirstTokens | None = FirstTokens()
        self._grids: CommonGrids | None = None
        self._partial: frozenset[str] = frozenset()

    def of_first(self, batch: Batch, layers: Sequence[str]) -> Batch:
        """Record a batch of the first images, or return it pooled, in the second round.

        Raises:
            SampleError: none of its samples can be pooled.
        """
        self._partial |= {layer for layer in layers if layer in batch.visual and batch.visual[layer].partial}
        if self._first is not None:
            self._first.add(batch, layers)
        return self.pooled(batch, strict=False)

    def choose(self) -> bool:
        """Choose the form after the first round; return whether the first images are to be seen once more, pooled."""
        if self._first is None:
            return False
        grids, self._first = self._first.common_grids(), None
        self._grids = grids if grids is None or grids.usable else grids.without_grid()
        return self.pools

    @property
    def pools(self) -> bool:
        """Whether tokens are pooled."""
        return self._grids is not None and self._grids.usable

    def pooled(self, batch: Batch, strict: bool = True) -> Batch:
        """Return a batch in the form to measure; see `CommonGrids.pooled`."""
        return self._grids.pooled(batch, strict) if self._grids is not None and self.pools else batch

    def facts(self, layer: str) -> dict[str, Any]:
        """Return what the details of a layer's score say of the form."""
        return self._grids.facts(layer) if self._grids is not None and self.pools else {}

    def flagged(self, scores: Mapping[str, Score]) -> dict[str, Score]:
        """Say of scores, which have the facts of their layers, what their tokens are: pooled, of one count, not all."""
        scores = {
            name: replace(score, flags=(*score.flags, PARTIAL_PATH))
            if score.detail.get("layer") in self._partial
            else score
            for name, score in scores.items()
        }
        grids = self._grids
        if grids is None or (not grids.usable and len(grids.images_by_count) == 1):
            return dict(scores)
        flag, facts = (POOLED, {}) if grids.usable else (ONE_TOKEN_COUNT, grids.facts(grids.headline))
        return {
            name: replace(score, flags=(*score.flags, flag), detail={**score.detail, **facts})
            if "grid" in score.detail or not grids.usable
            else score
            for name, score in scores.items()
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything that `of` needs; of a metric that saw the first images once, that nothing is pooled."""
        grids = self._grids
        if self._first is not None and (found := self._first.common_grids()) is not None:
            grids = found.without_grid()
        partial = {"partial": np.array(sorted(self._partial))} if self._partial else {}
        return partial if grids is None else grids.arrays() | partial

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> TokenForm:
        """Restore from what `arrays` returned."""
        form = cls()
        form._first, form._grids = None, CommonGrids.of(arrays)
        form._partial = frozenset(np.asarray(arrays.get("partial", ())).tolist())
        return form
