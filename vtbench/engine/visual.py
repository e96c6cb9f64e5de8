"""Takes the visual tokens of a batch, in groups that metrics are shown together: of one shape at each layer."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vtbench.adapter import Adapter
from vtbench.engine.batching import Failure
from vtbench.engine.parts import in_parts
from vtbench.engine.validation import checked_visual
from vtbench.metric import Fittable, Metric
from vtbench.types import Sample, VisualTokens


@dataclass(frozen=True, slots=True)
class Shown:
    """Samples of a batch whose visual tokens have one shape at each layer."""

    rows: tuple[int, ...]
    """Their places in the batch."""
    visual: Mapping[str, VisualTokens]
    """By layer, in the order of `rows`."""

    def part(self, rows: Sequence[int]) -> Mapping[str, VisualTokens]:
        """Return the tokens of some of the rows."""
        if tuple(rows) == self.rows:
            return self.visual
        places = [self.rows.index(row) for row in rows]
        return {layer: _part(visual, places) for layer, visual in self.visual.items()}


def layers_of(metrics: Iterable[Metric | Fittable], adapter: Adapter) -> list[str]:
    """Return the layers that visual metrics prefer and the adapter gives, in the adapter's order."""
    wanted = {layer for metric in metrics if isinstance(metric, Fittable) for layer in metric.layers}
    return [layer for layer in adapter.layers if layer in wanted]


def take_visual_tokens(
    samples: Sequence[Sample], rows: Sequence[int], adapter: Adapter, layers: Sequence[str], model: str
) -> tuple[list[Shown], dict[int, str]]:
    """Take the visual tokens of a batch's own images, together where their numbers are equal.

    Args:
        samples: the batch.
        rows: places of the samples to take them of.
        adapter: gives them.
        layers: to take them at.
        model: what an error calls the adapter.

    Returns:
        What was taken, and by row why there is nothing of the others.

    Raises:
        OutOfMemory: of a batch of several samples.
        ModelUnavailable: the model is gone.
    """

    def take(part: Sequence[int]) -> Mapping[str, VisualTokens]:
        given = _without_context(tuple(samples[row] for row in part))
        return checked_visual(adapter.visual_tokens(given, layers), given, layers, model)

    def sizes(row: int) -> Hashable:
        return tuple(image.size for image in samples[row].images)

    shown, why = list[Shown](), dict[int, str]()
    for part, found in in_parts(rows, take, len(samples) == 1, sizes):
        if isinstance(found, Failure):
            why[part[0]] = f"no visual tokens: {found}"
        else:
            shown += _of_one_shape(part, found)
    return shown, why


def _without_context(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return samples without what stands before the question: visual tokens are those of its own images."""
    if any(sample.examples or sample.system for sample in samples):
        return tuple(replace(sample, examples=(), system="") for sample in samples)
    return samples


def _of_one_shape(rows: Sequence[int], visual: Mapping[str, VisualTokens]) -> list[Shown]:
    """Group samples by their numbers of tokens, in the order in which these turn up."""
    counts = [[len(tokens) for tokens in each.tokens] for each in visual.values()]
    groups: dict[tuple[int, ...], list[int]] = {}
    for place in range(len(rows)):
        groups.setdefault(tuple(count[place] for count in counts), []).append(place)
    return [
        Shown(tuple(rows[place] for place in places), {layer: _part(each, places) for layer, each in visual.items()})
        for places in groups.values()
    ]


def _part(visual: VisualTokens, places: Sequence[int]) -> VisualTokens:
    """Return the tokens (k, N, d) of k samples that have equally many; of boxes that they share, one array."""
    boxes = [visual.boxes_of(place) for place in places]
    first = boxes[0]
    shared = all(
        one is first or (one is not None and first is not None and np.array_equal(one, first)) for one in boxes
    )
    if isinstance(visual.tokens, Sequence):
        tokens = _stacked([visual.tokens[place] for place in places])
    else:
        whole = list(places) == list(range(len(visual.tokens)))
        tokens = visual.tokens if whole else visual.tokens[list(places)]
    return replace(visual, tokens=tokens, boxes=first if shared else boxes)


def _stacked(tokens: Sequence[Any]) -> Any:
    if isinstance(tokens[0], np.ndarray):
        return np.stack(tokens)
    import torch

    return torch.stack(list(tokens))
