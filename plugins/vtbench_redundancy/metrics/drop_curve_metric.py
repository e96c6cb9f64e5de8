"""The metric `drop_curve`: scores of answers from fractions of the visual tokens, under three token budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vtbench.budget import Budget
from vtbench.errors import AdapterError
from vtbench.metric import Batch
from vtbench.scoring.credit import credit
from vtbench.stats import proportion
from vtbench.types import Capability, Observation, Output, Record, Sample, Score
from vtbench_budgets import DownSample, GridKeep, RandomKeep, TokenCount
from vtbench_redundancy.scores.drop_curve import FRACTIONS, area_estimate, f95_estimate, has_signal

POLICIES = {"random": RandomKeep, "grid": GridKeep, "downsample": DownSample}
"""Token budgets; at a fraction all three keep equally many tokens. `drop_area` and `drop_f95` are of random keeping;
down-sampling does as well where the tokens hold no more than a coarser image would."""
_ENDINGS = {"random": "", "grid": "_grid", "downsample": "_downsample"}

CURVE_AXES = {
    "title": "Accuracy against the share of visual tokens kept",
    "x": "share of visual tokens kept",
    "y": "accuracy",
    "percent": True,
}
"""What the report's chart of the curve says."""


class DropCurve:
    """Accuracy retained as visual tokens are dropped behind the connector.

    An observation holds the sample's score with none of its visual tokens, with all, and under each policy with each
    of `FRACTIONS`; and the number of visual tokens that the decoder read.
    """

    needs: frozenset[Capability] = frozenset({"generate", "budget"})
    budgets: Mapping[str, Budget] = {"none": GridKeep(TokenCount(fraction=0))} | {
        f"{name} {part}": policy(TokenCount(fraction=part)) for name, policy in POLICIES.items() for part in FRACTIONS
    }

    def observe(self, batch: Batch) -> list[Observation]:
        """Score each sample's answers.

        Raises:
            AdapterError: the model does not report how many tokens it read.
        """
        return [
            self._seen(sample, whole, {name: outputs[i] for name, outputs in batch.budgeted.items()})
            for i, (sample, whole) in enumerate(zip(batch.samples, batch.outputs, strict=True))
        ]

    def _seen(self, sample: Sample, whole: Output, said: Mapping[str, Output]) -> Observation:
        text = _tokens(said["none"])
        return {
            "none": credit(said["none"].text, sample),
            **{name: [credit(said[f"{name} {part}"].text, sample) for part in FRACTIONS] for name in POLICIES},
            "all": credit(whole.text, sample),
            "tokens": [0, *(_tokens(said[f"random {part}"]) - text for part in FRACTIONS), _tokens(whole) - text],
        }

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return `drop_area` by policy, and `drop_f95` of random keeping.

        All are None, flagged `no_signal`, where answers from the whole image are not better than those without it by
        the interval of the difference: there is nothing to retain. `detail["curve"]` of `drop_area` has a point for
        each fraction and policy; no token and all of them are the same under `any`.
        """
        n, clusters = len(records), [record.cluster for record in records]
        details: dict[str, dict[str, Any]] = {f"drop_area{name}": {"policy": p} for p, name in _ENDINGS.items()}
        details["drop_f95"] = {"policy": "random"}
        if not n:
            return {name: Score(None, detail=detail, percent=False) for name, detail in details.items()}
        scores_nF = {policy: np.array([[o["none"], *o[policy], o["all"]] for o in observations]) for policy in POLICIES}
        tokens_F = np.mean([o["tokens"] for o in observations], axis=0)
        details["drop_area"]["curve"] = _curve(scores_nF, tokens_F, clusters)
        details["drop_area"]["curve_axes"] = CURVE_AXES
        if not has_signal(scores_nF["random"], clusters):
            unknown = Score(None, n=n, flags=("no_signal",), percent=False)
            return {name: replace(unknown, detail=detail) for name, detail in details.items()}
        found = {f"drop_area{name}": area_estimate(scores_nF[p], clusters) for p, name in _ENDINGS.items()}
        found["drop_f95"] = f95_estimate(scores_nF["random"], clusters)
        fraction = found["drop_f95"].value
        assert fraction is not None
        details["drop_f95"]["tokens"] = float(np.interp(np.log10(fraction), np.log10([*FRACTIONS, 1]), tokens_F[1:]))
        flags = {"drop_f95": ("at_most",)} if fraction == FRACTIONS[0] else {}
        return {
            name: estimate.score(flags=flags.get(name, ()), detail=details[name], percent=False)
            for name, estimate in found.items()
        }


def _curve(scores_nF: Mapping[str, np.ndarray], tokens_F: np.ndarray, clusters: Sequence[str]) -> list[dict[str, Any]]:
    """Mean score at each fraction under each policy, with its 95 % interval and the tokens that were read."""
    ends, last = next(iter(scores_nF.values())), len(FRACTIONS) + 1
    points = [("any", 0.0, ends, 0)]
    points += [(name, part, c_nF, i) for name, c_nF in scores_nF.items() for i, part in enumerate(FRACTIONS, start=1)]
    points += [("any", 1.0, ends, last)]
    curve = []
    for policy, fraction, c_nF, i in points:
        estimate = proportion(c_nF[:, i].tolist(), clusters)
        point = {"policy": policy, "fraction": fraction, "tokens": float(tokens_F[i])}
        curve.append({**point, **estimate.row(), "n": estimate.n})
    return curve


def _tokens(output: Output) -> int:
    if output.tokens_in is None:
        raise AdapterError("metric drop_curve: the model does not report how many tokens it read (Output.tokens_in)")
    return output.tokens_in
