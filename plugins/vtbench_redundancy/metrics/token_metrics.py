"""Metrics of a run over visual tokens; the computations are in `vtbench_redundancy.scores`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from vtbench.errors import SampleError
from vtbench.metric import Batch
from vtbench.types import Capability, Observation, Record, Score
from vtbench_redundancy.features.token_geometry import MEASURES, token_geometry
from vtbench_redundancy.metrics.stacked_observations import (
    BASIS,
    compute_device,
    cue_score_of,
    redundancy_of,
    target_of,
    unique_images,
)
from vtbench_redundancy.metrics.visual_metric import CoordinateMetric
from vtbench_redundancy.protocol import MIN_IMAGES
from vtbench_redundancy.scores.cue_use import accuracy_above_chance
from vtbench_redundancy.scores.geometry_scores import geometry_scores
from vtbench_redundancy.scores.redundancy_score import missing_scores
from vtbench_redundancy.scores.token_patch_map import carriers
from vtbench_redundancy.scores.token_use import token_use


class RedundancyMetric(CoordinateMetric):
    """RS with its curve, N_eff of 16 tokens, the discarded share and the cue information, at the connector's output."""

    scores_cues = True

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Score the answered samples."""
        arrays, clusters = unique_images(records, observations)
        layer = self.layers[0]
        facts = self.facts(layer)
        if len(clusters) < MIN_IMAGES:
            few = missing_scores("few_images", len(clusters), facts | {"images_needed": MIN_IMAGES}, self.protocol)
            found = few.scores()
        else:
            found = redundancy_of(arrays, layer, self.protocol, clusters, facts, with_patches=True).scores()
        why = self.why_no_cues
        about_cues = cue_score_of(arrays, layer, self.protocol, clusters, facts, self.properties)
        if about_cues is not None:
            used = accuracy_above_chance(records)
            detail = {**about_cues.detail, **({"used": used} if used else {})}
            found["cue_information"] = replace(about_cues, detail=detail)
        elif why:
            found["rs"] = replace(found["rs"], detail={**found["rs"].detail, "left_out": {"cue_information": why}})
        return self.flagged(found)


class LayersMetric(CoordinateMetric):
    """RS and the discarded share at every layer that the adapter gives, from the vision tower into the decoder.

    With the target `cues` also the cue information of each.
    """

    layers = ("connector", "encoder", "decoder_25", "decoder_50", "decoder_75", "decoder_100")

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Score each layer against the same pixels."""
        arrays, clusters = unique_images(records, observations)
        scores: dict[str, Score] = {}
        for layer in self.measured() or self.layers[:1]:
            facts = self.facts(layer)
            if len(clusters) < MIN_IMAGES:
                found = missing_scores("few_images", len(clusters), facts, self.protocol)
            else:
                found = redundancy_of(arrays, layer, self.protocol, clusters, facts)
            scores |= {f"rs_{layer}": found.rs, f"discarded_{layer}": found.discarded}
            if (about_cues := cue_score_of(arrays, layer, self.protocol, clusters, facts)) is not None:
                scores[f"cue_information_{layer}"] = about_cues
        return self.flagged(scores)


class CarriersMetric(CoordinateMetric):
    """Number of tokens that carry each part of the image, from the token x patch map of mutual information."""

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Score the first choice of tokens where an image has more than the protocol measures together."""
        arrays, clusters = unique_images(records, observations)
        facts = self.facts(self.layers[0])
        if not clusters:
            none = Score(None, flags=("few_images",), detail=facts, percent=False)
            return self.flagged({"carriers": none, "uncarried": none})
        tokens = arrays[f"tokens/{self.layers[0]}"][:, 0]
        found = carriers(tokens, arrays["patches"], self.protocol, clusters, facts, compute_device())
        return self.flagged(found.scores())


class TokenUseMetric(CoordinateMetric):
    """What is unique to single tokens, and the shares that are dead or sinks."""

    def observe(self, batch: Batch) -> list[Observation]:
        """Add the norms of all tokens, `norms` (N,); on a grid the mean norm of each cell's tokens."""
        seen = super().observe(batch)
        norms = self._norms(batch).cpu().numpy()
        return [o if BASIS in o else {**o, "norms": norms[i]} for i, o in enumerate(seen)]

    def _norms(self, batch: Batch) -> torch.Tensor:
        visual = batch.visual[self.layers[0]]
        lengths_bN1 = torch.as_tensor(visual.tokens).float().norm(dim=2, keepdim=True)
        of_lengths = replace(batch, visual={visual.layer: replace(visual, tokens=lengths_bN1)})
        return torch.as_tensor(self._form.pooled(of_lengths).visual[visual.layer].tokens)[..., 0]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Score the first choice of tokens where an image has more than the protocol measures together."""
        arrays, clusters = unique_images(records, observations)
        facts = self.facts(self.layers[0])
        if len(clusters) < MIN_IMAGES:
            none = Score(None, n=len(clusters), flags=("few_images",), detail=facts, percent=False)
            return self.flagged({"unique": none, "dead": none, "sink": none})
        tokens = arrays[f"tokens/{self.layers[0]}"][:, 0]
        found = token_use(tokens, target_of(arrays), arrays["norms"], self.protocol, clusters, facts, compute_device())
        return self.flagged(found.scores())


class GeometryMetric:
    """Effective rank, participation ratio, stable rank, cosine and norm inequality, relative to random tokens.

    An observation holds the image's five numbers, `geometry` (5,), and `tokens`, how many tokens it has, where that
    is another number than the first image's. Each image is compared with random tokens of its own number.
    """

    needs: frozenset[Capability] = frozenset({"visual_tokens"})
    layers: tuple[str, ...] = ("connector",)
    fit_samples = 1

    def __init__(self) -> None:
        self._shape = (0, 0)

    def partial_fit(self, batch: Batch) -> None:
        """Record the number and width of an image's tokens."""
        _, count, width = batch.visual[self.layers[0]].tokens.shape
        self._shape = (count, width)

    def state(self) -> Mapping[str, np.ndarray]:
        """Return the number and width of the tokens."""
        return {"shape": np.array(self._shape)}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore them."""
        count, width = (int(side) for side in state["shape"])
        self._shape = (count, width)

    def observe(self, batch: Batch) -> list[Observation]:
        """Measure each image's tokens.

        Raises:
            SampleError: a single token, tokens of another width, or not finite.
        """
        tokens = torch.as_tensor(batch.visual[self.layers[0]].tokens)
        count, width = tokens.shape[1:]
        if width != self._shape[1]:
            raise SampleError(f"geometry: visual tokens {(count, width)} where the first had {self._shape}")
        if count < 2 and count != self._shape[0]:
            raise SampleError("geometry: a single visual token")
        for sample, good in zip(batch.samples, tokens.isfinite().flatten(1).all(dim=1).tolist(), strict=True):
            if not good:
                raise SampleError(f"geometry: the visual tokens of {sample.id} have values that are NaN or infinite")
        other = {} if count == self._shape[0] else {"tokens": count}
        return [{"geometry": row, **other} for row in token_geometry(tokens).cpu().numpy()]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Average over images."""
        count, _ = self._shape
        whole = [{"geometry": seen["geometry"], "tokens": seen.get("tokens", count)} for seen in observations]
        arrays, clusters = unique_images(records, whole)
        counts = arrays.get("tokens", np.empty(0, int)).tolist()
        return geometry_scores(
            arrays.get("geometry", np.empty((0, len(MEASURES)))), self._shape, clusters, counts=counts
        )
