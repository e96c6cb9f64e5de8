"""The paper's claims and advice, and the tests of both on a study's models.

The paper's numbers are those of public summaries of arXiv 2602.06914. They are tested here, never reported as ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vtbench_study.claim_tests import Direction, sized, trend_test
from vtbench_study.model_results import (
    MEASURES,
    NEWER,
    OF_TRAINED_FAMILIES,
    ModelResults,
    mean_of_known,
    mean_over_models,
)
from vtbench_study.plan import Plan
from vtbench_study.trend_size import SIGNIFICANCE_LEVEL
from vtbench_study.trend_tests import welch_p
from vtbench_training.finetune.penalty_check import ACCURACY_LOST, INFORMATION_KEPT, rejection_reasons

SOURCE = "Hannan, Cooper, White and Watkins, arXiv 2602.06914 (2026), as public summaries give it"
RS_MEASURES = frozenset({"rs_probe", "rs_own", "rs_own_change"})
"""Measures that the margin of the equivalence test is about."""
Arms = Mapping[str, Sequence[ModelResults]]
"""The finished models of each arm."""


@dataclass(frozen=True, slots=True)
class PaperRow:
    """The paper's row for one family: RS, and accuracy as a fraction."""

    rs: float
    accuracy: float


PAPER = {
    "coarse": PaperRow(0.78, 0.92),
    "attribute": PaperRow(0.62, 0.84),
    "relational": PaperRow(0.48, 0.71),
    "scene_graph": PaperRow(0.35, 0.58),
}


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim about the families in order of rising complexity.

    Attributes:
        measure: the tested number, a key of `model_results.MEASURES`.
        direction: the paper's.
        text: the claim as a sentence.
    """

    measure: str
    direction: Direction
    text: str


CLAIMS = (
    Claim("rs_probe", "falls", "Training on more complex families makes visual tokens less redundant: RS falls, on the "
          "same probe images for every model."),
    Claim("rs_own", "falls", "The same, each model on images of the family that it was trained on."),
    Claim("rs_own_change", "falls", "The same, as the difference to the base's RS on the same images: what training "
          "did, not the images."),
    Claim("n_eff_16", "rises", "The same as the effective number of 16 tokens, on the same probe images: it rises."),
    Claim("accuracy", "falls", "Accuracy on its own family falls as the family becomes more complex."),
    Claim("discarded", "falls", "Simple families encourage compression: complex ones leave less of the image "
          "discarded."),
    Claim("cue_information", "rises", "The same of the scene's own facts: complex families leave more information "
          "about shapes, colours, textures, sizes and places."),
    Claim("clusters", "falls", "Tokens of one kind of object cluster tightly after simple families, and less after "
          "complex ones: silhouette in the embedding space."),
    Claim("drop_area", "falls", "Where tokens say different things, answers need more of them: less is kept of what "
          "the image adds as tokens are dropped."),
)  # fmt: skip


def claim_rows(families: Sequence[Sequence[ModelResults]], margin: float) -> list[dict[str, Any]]:
    """Return one row for each claim, with its `Trend` over the models of each family in order of complexity.

    Args:
        families: the models of each family.
        margin: change of RS that counts as none.
    """
    rows = []
    for claim in CLAIMS:
        groups = [[MEASURES[claim.measure](results) for results in models] for models in families]
        if claim.measure in NEWER and not any(found.value is not None for group in groups for found in group):
            continue  # measured by a version that did not have it
        trend = trend_test([[found.value for found in group] for group in groups], claim.direction)
        own_images = claim.measure in OF_TRAINED_FAMILIES
        trend = sized(trend, groups, margin if claim.measure in RS_MEASURES else None, own_images)
        rows.append({"measure": claim.measure, "text": claim.text} | trend.document())
    return rows


def full_rate_rows(plan: Plan, arms: Arms) -> list[dict[str, Any]]:
    """Compare the arms whose vision tower learned at the full rate with the same arms at the usual rate."""
    return [
        _comparison(arms, cell.arm, str(cell.control_arm), cell.families)
        for cell in plan.cells()
        if cell.kind == "full_rate" and cell.seed == plan.seeds[0] and cell.arm in arms and cell.control_arm in arms
    ]


def advice_rows(plan: Plan, arms: Arms) -> list[dict[str, Any]]:
    """Test the paper's advice to mix families, and redundancy penalties.

    Returns:
        One row for each mix and each family in it, and for each penalty and its control arm, as far as both arms are
        finished. `helps` is true if RS is lower with p < 0.05 (Welch's t-test over seeds) and neither information nor
        accuracy is lost.
    """
    rows = []
    for name, mix in plan.mixes.items():
        for family in plan.families:
            if mix.get(family, 0) > 0 and name in arms and family in arms:
                rows.append({"kind": "mix"} | _comparison(arms, name, family, [family]))
    for cell in plan.cells():
        if cell.kind == "penalty" and cell.seed == plan.seeds[0] and cell.arm in arms and cell.control_arm in arms:
            comparison = _comparison(arms, cell.arm, str(cell.control_arm), cell.families)
            rows.append({"kind": "penalty", "penalty": cell.penalty} | comparison)
    return rows


def _comparison(arms: Arms, arm: str, control: str, families: Sequence[str]) -> dict[str, Any]:
    """Compare two arms by RS, information, and accuracy on `families`, each a mean over seeds."""
    before, after = _means(arms[control], families), _means(arms[arm], families)
    rs_before, rs_after = (
        [value for value in _values(arms[name], "rs_probe") if value is not None] for name in (control, arm)
    )
    lost = rejection_reasons(before, after)
    difference = None if before["rs"] is None or after["rs"] is None else after["rs"] - before["rs"]
    p = welch_p(rs_after, rs_before)
    return {
        "arm": arm,
        "beside": control,
        "rs": after["rs"],
        "rs_beside": before["rs"],
        "rs_difference": difference,
        "rs_p": p,
        "information": after["information"],
        "information_beside": before["information"],
        "accuracy": after["accuracy"],
        "accuracy_beside": before["accuracy"],
        "lost": lost,
        "helps": difference is not None and difference < 0 and p is not None and p < SIGNIFICANCE_LEVEL and not lost,
        "rule": f"RS lower with p < 0.05, {100 * INFORMATION_KEPT:.0f} % of the information left, no accuracy lower by "
        f"more than {100 * ACCURACY_LOST:.0f} points",
    }


def _means(models: Sequence[ModelResults], families: Sequence[str]) -> dict[str, Any]:
    return {
        "rs": mean_over_models(models, "rs_probe").value,
        "information": mean_over_models(models, "information").value,
        "accuracy": {
            family: mean_of_known([results["accuracy"][family]["value"] for results in models]) for family in families
        },
    }


def _values(models: Sequence[ModelResults], measure: str) -> list[float | None]:
    return [MEASURES[measure](results).value for results in models]
