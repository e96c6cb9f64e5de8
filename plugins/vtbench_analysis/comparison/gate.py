"""The regression gate of `vtbench compare`: which scores of the later runs fell below those of the first.

A score fell if the drop is larger than allowed and the paired test says that it is one. The p-values are Holm-adjusted
over everything that is gated, so that a run of the same model fails with probability alpha at most, however many scores
there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vtbench.console.formatting import interval_text, number, p_text, signed
from vtbench.errors import nearest
from vtbench.registry import Registry
from vtbench.stats import Estimate, holm
from vtbench_analysis.comparison.run_comparison import RunComparison
from vtbench_analysis.comparison.score_rows import ScoreRow
from vtbench_analysis.errors import AnalysisError

SMALLER_IS_BETTER = frozenset({"hallucinated", "threshold_75", "cut", "unparsed"})
"""Scores that fall when they rise; of all others in per cent, more is better."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says about one score of one run."""

    task: str
    row: ScoreRow
    place: int
    """Of the run among those of the comparison; 0 is the first, which is not gated."""
    p_holm: float | None
    """Adjusted over all that is gated; None without a test."""
    fell: bool

    @property
    def difference(self) -> Estimate:
        """The run's score less the first run's."""
        return self.row.differences[self.place - 1]

    @property
    def drop(self) -> float:
        """How much worse the run is: in points (hundredths) for percentages, in the score's unit for others."""
        return _drop(self.row, self.difference)


@dataclass(frozen=True)
class Gate:
    """The gate's settings and verdicts."""

    comparison: RunComparison
    max_drop: float
    alpha: float
    verdicts: tuple[Verdict, ...]
    not_gated: Mapping[str, Mapping[str, str]]
    """By task, the scores that cannot be gated, and why."""

    @property
    def fell(self) -> bool:
        """Whether any score fell."""
        return any(verdict.fell for verdict in self.verdicts)

    @property
    def document(self) -> dict[str, Any]:
        """The gate, JSON-able."""
        scores = [
            {
                "task": v.task,
                "score": v.row.score,
                "run": str(self.comparison.runs[v.place].path),
                "fell": v.fell,
                "drop": v.drop,
                "difference": v.difference.value,
                "interval": list(v.difference.interval) if v.difference.interval else None,
                "p": v.difference.p,
                "p_holm": v.p_holm,
            }
            for v in self.verdicts
        ]
        not_gated = {task: dict(reasons) for task, reasons in self.not_gated.items()}
        settings = {"max_drop": self.max_drop, "alpha": self.alpha, "fell": self.fell}
        return settings | {"scores": scores, "not_gated": not_gated}

    def lines(self) -> Iterator[str]:
        """Yield a line for each score, those that fell first, and one for each reason why others are not gated."""
        for verdict in sorted(self.verdicts, key=lambda verdict: not verdict.fell):
            yield self._line(verdict)
        for task, reasons in self.not_gated.items():
            for why in dict.fromkeys(reasons.values()):
                names = ", ".join(name for name, reason in reasons.items() if reason == why)
                yield f"not gated  {task}: {names}: {why}"

    def _line(self, verdict: Verdict) -> str:
        row, difference = verdict.row, verdict.difference
        first, other = (number(row.values[place].value, row.percent) for place in (0, verdict.place))
        change = f"{signed(difference.value, row.percent)}{' points' if row.percent else ''}"
        interval = f", 95 % {interval_text(difference.interval, row.percent)}" if difference.interval else ""
        p = "" if difference.p is None else f", p {p_text(difference.p)}, p Holm {p_text(verdict.p_holm)}"
        where = self.comparison.runs[verdict.place].path
        return (
            f"{'fell' if verdict.fell else 'passed':<9}  {verdict.task} {row.score}: {first} to {other}, "
            f"{change}{interval}{p} ({where})"
        )


def gate(
    comparison: RunComparison, max_drop: float = 0.0, alpha: float = 0.05, scores: Sequence[str] | None = None
) -> Gate:
    """Say which scores of a comparison fell below the first run's.

    Args:
        comparison: of two runs or more.
        max_drop: a score may drop by this much: points for percentages, its own unit for others.
        alpha: level of the Holm-adjusted p-values. A difference without a p-value but with an interval fell where the
            95 % interval leaves out 0.
        scores: names of scores to gate; by default all for which it is known what is better.

    Raises:
        AnalysisError: a name in `scores` is unknown or cannot be gated, or nothing can be.
    """
    not_gated: dict[str, dict[str, str]] = {}
    gated: list[tuple[str, ScoreRow, int]] = []
    for task, table in comparison.tables.items():
        reasons = not_gated.setdefault(task, {})
        for row in table.rows:
            nowhere = all(value.value is None for value in row.values)  # of no sample of the task
            if nowhere if scores is None else row.score not in scores:
                continue
            for place, difference in enumerate(row.differences, 1):
                if why := _why_not(row, difference):
                    reasons[row.score] = why
                else:
                    gated.append((task, row, place))
        if scores is None:
            reasons |= {f"metric {name}": why for name, why in table.not_compared.items()}
    for task in comparison.runs[0].tasks:
        if task not in comparison.tables:
            not_gated[task] = {"all scores": "no sample that every run has answered"}
    _check_names(comparison, scores, {row.score for _, row, _ in gated}, not_gated)
    adjusted = holm([row.differences[place - 1].p for _, row, place in gated])
    verdicts = [
        Verdict(task, row, place, p, _fell(row, row.differences[place - 1], p, max_drop, alpha))
        for (task, row, place), p in zip(gated, adjusted, strict=True)
    ]
    found = {task: reasons for task, reasons in not_gated.items() if reasons}
    return Gate(comparison, max_drop, alpha, tuple(verdicts), found)


def flagged(comparison: RunComparison, flags: Sequence[str]) -> list[dict[str, Any]]:
    """Return the scores of any run that carry one of these flags: `run`, `task`, `score` and `flags` of each.

    Raises:
        AnalysisError: no plugin explains a flag of this name, and no score of the runs carries it.
    """
    carried = [
        (run, task, name, set(score["flags"]))
        for run in comparison.runs
        for task in run.tasks
        for name, score in run.results["scores"].get(task, {}).items()
    ]
    known = set(Registry().flags()).union(*(own for *_, own in carried))
    for flag in flags:
        if flag not in known and not flag.startswith(("above_", "below_")):
            raise AnalysisError(f"--fail-on: no score has a flag {flag!r}; there are {', '.join(sorted(known))}")
    return [
        {"run": str(run.path), "task": task, "score": name, "flags": sorted(own & set(flags))}
        for run, task, name, own in carried
        if own & set(flags)
    ]


def _drop(row: ScoreRow, difference: Estimate) -> float:
    worse = difference.value if row.score in SMALLER_IS_BETTER else -(difference.value or 0.0)
    return (100 if row.percent else 1) * (worse or 0.0)


def _why_not(row: ScoreRow, difference: Estimate) -> str | None:
    """Return why a difference cannot be gated; None if it can."""
    if not row.percent and row.score not in SMALLER_IS_BETTER:
        return "neither more nor less of it is better"
    if difference.p is None and difference.interval is None:
        return f"no paired test ({' '.join(difference.flags) or 'no interval'})"
    return None


def _fell(row: ScoreRow, difference: Estimate, p: float | None, max_drop: float, alpha: float) -> bool:
    drop = _drop(row, difference)
    if drop <= 0 or drop <= max_drop + 1e-9:  # 0.86 - 0.84 is a drop of 2 points, and no more
        return False
    if p is not None:
        return p < alpha
    return difference.low > 0 or difference.high < 0


def _check_names(
    comparison: RunComparison,
    scores: Sequence[str] | None,
    gated: Collection[str],
    not_gated: Mapping[str, Mapping[str, str]],
) -> None:
    """Refuse names that gate nothing, which would pass whatever happened.

    Raises:
        AnalysisError: see `gate`.
    """
    names = list(dict.fromkeys(row.score for table in comparison.tables.values() for row in table.rows))
    for name in scores or ():
        if name not in names:
            raise AnalysisError(f"--scores: no run has a score {name!r} to compare.{nearest(name, names)}")
        if name not in gated:
            why = next(reasons[name] for reasons in not_gated.values() if name in reasons)
            raise AnalysisError(f"--scores: {name} cannot be gated: {why}")
    if not gated:
        reasons = dict.fromkeys(why for of_task in not_gated.values() for why in of_task.values())
        raise AnalysisError(f"there is no score to gate: {'; '.join(reasons) or 'the runs share none'}")
