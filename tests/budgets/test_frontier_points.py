"""Points of a frontier's curve."""

from __future__ import annotations

from collections.abc import Sequence

from vtbench_budgets.frontier_points import Point, curve

CLUSTERS = ["", "", ""]


def point(tokens: int, credits: Sequence[int]) -> Point:
    seen = [{"credit": credit, "tokens": tokens, "prefill": None, "decode": None} for credit in credits]
    return Point.of(seen, CLUSTERS)


def test_equal_points_of_a_policy_are_one() -> None:
    """The rival of two budgets with one mean count, say; other answers or other tokens make another point."""
    points = {
        "all": point(8, [1, 1, 1]),
        "merge:t=0.9": point(4, [1, 0, 1]),
        "merge:t=0.9 random": point(4, [1, 0, 0]),
        "saliency:p=0.5": point(4, [1, 0, 1]),
        "saliency:p=0.5 random": point(4, [1, 0, 0]),
        "farthest_point:k=4 random": point(4, [0, 0, 1]),
        "farthest_point:k=2 random": point(2, [1, 0, 0]),
    }
    assert [(row["policy"], row["tokens"], round(3 * row["value"])) for row in curve(points)] == [
        ("any", 8, 3),
        ("merge", 4, 2),
        ("random", 4, 1),
        ("saliency", 4, 2),
        ("random", 4, 1),
        ("random", 2, 1),
    ]
