"""Every registered metric keeps the contract, a third party's as much as vtbench's own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vtbench.registry import Registry
from vtbench.testing import assert_checks, metric_checks

sys.path.append(str(Path(__file__).parents[1] / "vtbench_echo"))
import vtbench_echo

REGISTRY = Registry()


@pytest.mark.parametrize("name", sorted(REGISTRY.named("metric")))
def test_a_registered_metric(name: str) -> None:
    assert_checks(metric_checks(lambda: REGISTRY.metric(name)))


def test_a_third_partys_metric() -> None:
    assert_checks(metric_checks(vtbench_echo.words))


@pytest.mark.parametrize("name", sorted(REGISTRY.named("metric")))
def test_a_metric_of_vtbench_names_its_scores_where_none_has_a_value(name: str) -> None:
    """So a table shows a row for what could not be computed; a third party's metric may leave it out."""
    metric = REGISTRY.metric(name)
    if hasattr(metric, "load_state"):
        from vtbench.testing.metric_checks import _Session

        metric = _Session(lambda: REGISTRY.metric(name), None)._ready()
    scores = metric.compute([], [])
    assert scores
    assert {score.value for score in scores.values()} == {None}


def test_metrics_are_registered_and_say_what_they_are() -> None:
    found = REGISTRY.named("metric")
    assert {"accuracy", "rank_accuracy", "pair_accuracy", "scene_graph", "psychometric"} <= found.keys()
    assert all(named.summary for named in found.values())
