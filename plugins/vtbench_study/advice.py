"""The paper's advice, tried: mixes and penalties in, what they changed out.

Advice to mix is good where a mix has less redundant tokens than its simplest family and gives up no accuracy; a penalty
where it lowers RS, and neither information nor accuracy are lost against its unpenalised twin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scipy.stats import ttest_ind

from vtbench_study.measures import MEASURES, Found, measured
from vtbench_study.plan import Plan
from vtbench_study.spread import over_seeds
from vtbench_training.guard import ACCURACY_LOST, INFORMATION_KEPT, verdict

Arms = Mapping[str, Sequence[Found]]


def advice(plan: Plan, arms: Arms) -> list[dict[str, Any]]:
    """Return one row for each mix and family in it, and for each penalty and its twin, as far as both are finished."""
    rows = []
    for name, mix in plan.mixes.items():
        for family in plan.families:
            if mix.get(family, 0) > 0 and name in arms and family in arms:
                rows.append({"kind": "mix"} | _beside(arms, name, family, [family]))
    for cell in plan.cells():
        if cell.kind == "penalty" and cell.seed == plan.seeds[0] and cell.arm in arms and cell.twin in arms:
            rows.append(
                {"kind": "penalty", "penalty": cell.penalty} | _beside(arms, cell.arm, str(cell.twin), cell.own)
            )
    return rows


def _beside(arms: Arms, tried: str, other: str, families: Sequence[str]) -> dict[str, Any]:
    """Return how `tried` differs from `other`: RS, information, and accuracy on `families`, means over seeds."""
    told = [_told(arms[name], families) for name in (other, tried)]
    rs = [
        [value for found in arms[name] if (value := MEASURES["rs_probe"](found)[0]) is not None]
        for name in (other, tried)
    ]
    lost = verdict(*told)
    difference = None if None in (told[0]["rs"], told[1]["rs"]) else told[1]["rs"] - told[0]["rs"]
    p = float(ttest_ind(rs[1], rs[0], equal_var=False).pvalue) if min(map(len, rs)) > 1 else None
    return {
        "arm": tried,
        "beside": other,
        "rs": told[1]["rs"],
        "rs_beside": told[0]["rs"],
        "rs_difference": difference,
        "rs_p": p,
        "information": told[1]["information"],
        "information_beside": told[0]["information"],
        "accuracy": told[1]["accuracy"],
        "accuracy_beside": told[0]["accuracy"],
        "lost": lost,
        "helps": difference is not None and difference < 0 and p is not None and p < 0.05 and not lost,
        "rule": f"RS lower with p < 0.05, {100 * INFORMATION_KEPT:.0f} % of the information left, no accuracy lower by "
        f"more than {100 * ACCURACY_LOST:.0f} points",
    }


def _told(models: Sequence[Found], families: Sequence[str]) -> dict[str, Any]:
    accuracy = {
        family: over_seeds([found["accuracy"][family]["value"] for found in models], []).mean for family in families
    }
    return {
        "rs": measured(models, "rs_probe").mean,
        "information": measured(models, "information").mean,
        "accuracy": accuracy,
    }
