"""Points of a frontier: credit and costs under one budget, and its difference to the rivals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from vtbench.stats import Estimate, difference, proportion
from vtbench.types import Score
from vtbench_budgets.positional import GridKeep, RandomKeep

RIVALS = {"random": RandomKeep, "grid": GridKeep}
"""Every budget is compared with these baselines: published budgets often lose to random."""


@dataclass(frozen=True, slots=True)
class Point:
    """The answers under one budget."""

    credits: Sequence[float]
    estimate: Estimate
    costs: Mapping[str, float | None]
    """Tokens, and milliseconds of prefill and decoding, per sample."""

    @classmethod
    def of(cls, seen: Sequence[Mapping[str, Any]], clusters: Sequence[str]) -> Point:
        """Average the observations under one budget."""
        credits = [row["credit"] for row in seen]
        costs: dict[str, float | None] = {"tokens": fmean(row["tokens"] for row in seen)}
        for part in ("prefill", "decode"):
            known = [1000 * row[part] for row in seen if row[part] is not None]
            costs[f"{part}_ms"] = fmean(known) if known else None
        return cls(credits, proportion(credits, clusters), costs)

    def over(self, rival: Point, clusters: Sequence[str]) -> dict[str, Any]:
        """Return a rival's credit and tokens, and the paired difference to it with its interval."""
        apart = difference(self.credits, rival.credits, clusters).row()
        facts = {"value": rival.estimate.value, "tokens": rival.costs["tokens"]}
        return {**facts, "over": apart.pop("value"), **apart}

    def score(self, apart: Mapping[str, Mapping[str, Any]]) -> Score:
        """Return the mean credit as a score, with its costs and the differences to its rivals."""
        flags = [f"above_{rival}" for rival, row in apart.items() if row["low"] is not None and row["low"] > 0]
        flags += [f"below_{rival}" for rival, row in apart.items() if row["high"] is not None and row["high"] < 0]
        return self.estimate.score(flags=tuple(flags), detail={**self.costs, **apart})


def curve(points: Mapping[str, Point]) -> Iterator[dict[str, Any]]:
    """Yield the points by policy; equal budgets (a rival of several, for example) give one point."""
    drawn = set()
    for name, point in points.items():
        rival = name.rpartition(" ")[2]
        policy = "any" if name in ("all", "none") else rival if rival in RIVALS else name.partition(":")[0]
        row = {"policy": policy, **point.costs, **point.estimate.row()}
        if (policy, point.costs["tokens"], *point.credits) not in drawn:
            yield row | {"n": point.estimate.n}
        drawn.add((policy, point.costs["tokens"], *point.credits))
