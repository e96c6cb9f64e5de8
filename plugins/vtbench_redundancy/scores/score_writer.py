"""`ScoreWriter`: an estimate and its replicates to a `Score` with interval, flags and details."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from vtbench.stats import jackknife
from vtbench.types import Score
from vtbench_redundancy.convergence import unconverged
from vtbench_redundancy.protocol import Protocol


def rounded(values: Tensor) -> Any:
    """Return values as nested lists rounded to four decimals, for the details of a score."""
    return values.double().cpu().numpy().round(4).tolist()


def flag_synergy(rs: Score) -> Score:
    """Flag a redundancy whose whole interval is below 0: tokens carry more together than one by one."""
    return replace(rs, flags=(*rs.flags, "synergy")) if rs.interval and rs.interval[1] < 0 else rs


@dataclass(frozen=True, slots=True)
class ScoreWriter:
    """Writes `Score`s of one measurement."""

    n: int
    protocol: Protocol
    facts: Mapping[str, Any]
    flags: tuple[str, ...]

    def __call__(self, values_T: Tensor, low: bool = False, checked: bool = False, **more: Any) -> Score:
        """Write a score.

        Args:
            values_T: the value over all images, the jackknife's replicates and, where there are any, the two halves.
            low: there is too little information for a value; flagged `low_information`.
            checked: compare with the halves, and flag `unconverged` where they differ by over 2 standard errors.
            more: further facts.
        """
        if low:
            return self.missing("low_information", **more)
        groups, facts, flags = self.protocol.groups, {**self.facts, **more}, self.flags
        value, *replicates = values_T[: groups + 1].tolist()
        found = jackknife(value, replicates, self.n, self.protocol.widen)
        if checked:
            # the mean of two halves shows the bias of small samples, with hardly more noise
            half = float(values_T[groups + 1 :].mean()) if len(values_T) > groups + 1 else None
            facts["half"] = half
            if unconverged(found, half):
                flags = (*flags, "unconverged")
        return found.score(flags=flags, detail=facts, percent=False)

    def missing(self, flag: str, **more: Any) -> Score:
        """Write a score without a value."""
        flags = tuple(dict.fromkeys((*self.flags, flag)))
        return Score(None, n=self.n, flags=flags, detail={**self.facts, **more}, percent=False)
