"""`ScoreWriter`: an estimate and its replicates to a `Score` with interval, flags and details."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from vtbench.stats import jackknife
from vtbench.types import Score
from vtbench_redundancy.convergence import bias_left, corrected_unconverged, unconverged
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

    def __call__(
        self, values_T: Tensor, low: bool = False, part: float | None = None, scale: float = 1.0, **more: Any
    ) -> Score:
        """Write a score.

        Args:
            values_T: the value over all images, the jackknife's replicates and, where there are any, two parts.
            low: there is too little information for a value; flagged `low_information`.
            part: size of the parts as a fraction of the images, 0 where there are none: compare the value with theirs,
                and flag it `unconverged` by the rule of the protocol (`convergence`). None: do not.
            scale: what a value is measured by: a bias that is small beside it is not flagged.
            more: further facts.
        """
        if low:
            return self.missing("low_information", **more)
        groups, facts, flags = self.protocol.groups, {**self.facts, **more}, self.flags
        value, *replicates = values_T[: groups + 1].tolist()
        found = jackknife(value, replicates, self.n, self.protocol.widen)
        if part is not None:
            # the mean of two parts shows the bias of small samples, with hardly more noise
            of_parts = float(values_T[groups + 1 :].mean()) if len(values_T) > groups + 1 else None
            facts["half"] = of_parts
            if self.protocol.correction == "jackknife":
                left = None if of_parts is None else bias_left(value, of_parts, part)
                facts |= {"part": part, "bias_left": left}
                strayed = corrected_unconverged(found, of_parts, part, scale)
            else:
                strayed = unconverged(found, of_parts)
            flags = (*flags, "unconverged") if strayed else flags
        return found.score(flags=flags, detail=facts, percent=False)

    def missing(self, flag: str, **more: Any) -> Score:
        """Write a score without a value."""
        flags = tuple(dict.fromkeys((*self.flags, flag)))
        return Score(None, n=self.n, flags=flags, detail={**self.facts, **more}, percent=False)
