"""Which of a run's samples are scored, where several ask about one image, and where runs have bases of their own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vtbench_redundancy.metrics.stacked_observations import BASIS, unique_images, unique_rows


def record(image: int, scene: str = "") -> Any:
    return SimpleNamespace(image_sha256=(f"image {image}",), cluster=scene, id=f"sample of {image}")


def observed(number: int, basis: bool) -> dict[str, Any]:
    return {BASIS: np.ones(1)} if basis else {"tokens/connector": np.full(2, float(number))}


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_no_image_of_any_basis_is_scored_and_each_other_once(samples: list[tuple[int, bool, bool]]) -> None:
    records = [record(image) for image, _, _ in samples]
    runs = [[observed(image, sample[1 + run]) for sample in samples for image in [sample[0]]] for run in range(2)]
    fitted = {image for image, *basis in samples if any(basis)}
    rows = unique_rows(records, runs)
    assert [samples[i][0] for i in rows] == list(dict.fromkeys(image for image, *_ in samples if image not in fitted))


def test_the_second_question_about_an_image_of_the_basis_is_not_scored() -> None:
    """Nor are other images of its scene; what `compare` scores is what the run scored."""
    records = [record(0, "a"), record(1, "b"), record(0, "a"), record(2, "a"), record(1, "b"), record(3, "")]
    observations = [observed(0, True), *(observed(i, False) for i in (1, 0, 2, 1, 3))]
    assert unique_rows(records, [observations]) == [1, 5]
    arrays, clusters = unique_images(records, observations)
    assert arrays["tokens/connector"][:, 0].tolist() == [1, 3]
    assert clusters == ["b", "sample of 3"]
