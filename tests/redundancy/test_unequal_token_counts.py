"""Images with unequal numbers of visual tokens: RS is of the most frequent number, geometry of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from image_fakes import batches, record, sample

from vtbench.errors import SampleError
from vtbench.metric import Batch, VisualMetric
from vtbench.types import Output, VisualTokens
from vtbench_redundancy.metrics.token_form import MOST_COUNTS
from vtbench_redundancy.metrics.token_metrics import (
    CarriersMetric,
    GeometryMetric,
    LayersMetric,
    RedundancyMetric,
    TokenUseMetric,
)

torch.set_num_threads(1)
N, FEW = 120, 9


def mixed(size: int, layers: Sequence[str] = ("connector",), first: int = 0) -> list[Batch]:
    """Batches as the loop makes them: every third image, the first among them, has 9 tokens in place of 16."""
    found = []
    for start in range(first, first + N, size):
        (batch,) = batches(range(start, min(start + size, first + N)), size, layers=layers)
        for short in (True, False):
            rows = [i for i, one in enumerate(batch.samples) if (one.index % 3 == 0) == short]
            if not rows:
                continue
            visual = {
                layer: replace(v, tokens=v.tokens[rows, : FEW if short else None], boxes=None)
                for layer, v in batch.visual.items()
            }
            found.append(Batch([batch.samples[i] for i in rows], [Output()] * len(rows), visual))
    return found


def measured(
    metric: VisualMetric, parts: Sequence[Batch], basis: Sequence[Batch] | None = None
) -> tuple[dict, list[int]]:
    """Fit on `basis`, or on the same images, and score."""
    for batch in parts if basis is None else basis:
        metric.partial_fit(replace(batch, outputs=()))
    metric.load_state(dict(metric.state()))
    seen, records = [], []
    for batch in parts:
        try:
            seen += metric.observe(batch)
        except SampleError:
            continue
        records += [record(one.index) for one in batch.samples]
    return metric.compute(records, seen), [one.index for one in records]


@pytest.mark.parametrize("make", [RedundancyMetric, LayersMetric, CarriersMetric, TokenUseMetric])
def test_the_most_frequent_count_is_measured_as_if_it_were_alone(make: type) -> None:
    layers = ("connector", "encoder")
    basis = mixed(8, layers, first=N)
    found, indices = measured(make(), mixed(8, layers), basis)
    frequent = [[part for part in parts if part.samples[0].index % 3] for parts in (mixed(8, layers), basis)]
    alone, _ = measured(make(), *frequent)
    assert sorted(indices) == [i for i in range(N) if i % 3]
    for name, score in found.items():
        assert score.value == alone[name].value
        assert score.n == len(indices)
        assert score.flags == (*alone[name].flags, "one_token_count")
        assert score.detail["first_images_by_token_count"] == {"9": 40, "16": 80}


def test_the_choice_does_not_depend_on_the_batches() -> None:
    (one, indices), (other, again) = (
        measured(RedundancyMetric(), mixed(size), mixed(size, first=N)) for size in (1, 40)
    )
    assert sorted(indices) == sorted(again)
    for name, score in one.items():
        assert score.value == pytest.approx(other[name].value, abs=1e-4)
        assert score.flags == other[name].flags


def test_no_more_than_a_few_counts_are_fitted() -> None:
    metric = RedundancyMetric()
    tokens = np.random.default_rng(0).standard_normal((2, 40, 6)).astype(np.float32)
    for count in range(2, 2 + MOST_COUNTS):
        metric.partial_fit(
            Batch([sample(0), sample(1)], (), {"connector": VisualTokens("connector", tokens[:, :count])})
        )
    with pytest.raises(SampleError, match="more than 8 numbers"):
        metric.partial_fit(Batch([sample(0)], (), {"connector": VisualTokens("connector", tokens[:1, :30])}))
    assert metric.state()["count/connector"] == 2, "the first of equals"


def test_geometry_compares_each_image_with_random_tokens_of_its_own_number() -> None:
    generator = np.random.default_rng(0)
    parts = [
        Batch([sample(i)], (), {"connector": VisualTokens("connector", generator.standard_normal((1, count, 32)))})
        for i, count in enumerate([8, 24, 60] * 40)
    ]
    found, indices = measured(GeometryMetric(), parts)
    assert len(indices) == 120
    for name, score in found.items():
        assert score.value == pytest.approx(1 if name.endswith("_rel") else 0, abs=0.03), name
        assert score.detail["images_by_token_count"] == {"8": 40, "24": 40, "60": 40}
        assert score.n == 120
    equal, _ = measured(GeometryMetric(), parts[1::3])
    assert equal["effective_rank_rel"].detail["N"] == 24
    assert "images_by_token_count" not in equal["effective_rank_rel"].detail
