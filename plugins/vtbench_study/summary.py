"""The whole of a study as one JSON-able document: what `gather` found of every model in, tables and verdicts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from vtbench_study.advice import advice
from vtbench_study.claims import CLAIMS, PAPER, SOURCE
from vtbench_study.measures import MEASURES, Found, measured
from vtbench_study.plan import Plan
from vtbench_study.spread import over_seeds
from vtbench_study.trend import trend

Arms = Mapping[str, Sequence[Found]]


def summarise(plan: Plan, models: Sequence[Found], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the study's document.

    Args:
        plan: what was planned.
        models: what `gather` found, of every model that is finished.
        facts: versions, hardware and the like.

    Returns:
        `table`: one row an arm, of `MEASURES`; `transfer`: accuracy of each arm on each family; `claims` with their
        trends; `advice`: mixes and penalties beside what they are to improve; `layers`, `drop`, `cues`, `panels`,
        `separation`; `rank_correlation` of RS with the drop curve; `before`: the base's RS on each
        family's pictures; `models`: a row a model.
    """
    arms: dict[str, list[Found]] = {}
    before = _before(models)
    for found in [{**found, "before": before} for found in models]:
        arms.setdefault(found["arm"], []).append(found)
    families = [arms.get(family, []) for family in plan.families]
    return {
        "plan": plan.document(),
        "facts": dict(facts),
        "missing": [cell.name for cell in plan.cells() if cell.name not in {found["name"] for found in models}],
        "paper": {"source": SOURCE} | {name: {"rs": row.rs, "accuracy": row.accuracy} for name, row in PAPER.items()},
        "table": [_row(arm, found, plan) for arm, found in arms.items()],
        "transfer": _transfer(arms, plan),
        "claims": [
            {"measure": claim.measure, "text": claim.text}
            | trend([_values(group, claim.measure) for group in families], claim.direction).document()
            for claim in CLAIMS
        ],
        "advice": advice(plan, arms),
        "learned": _learned(plan, arms),
        "rank_correlation": [
            _correlation(models, rs, drop) for rs in ("rs_probe", "rs_own") for drop in ("drop_area", "drop_f95")
        ],
        "layers": {arm: _layers(found) for arm, found in arms.items()},
        "drop": {arm: _drop(found) for arm, found in arms.items() if found[0]["drop"]},
        "cues": {arm: _cues(found) for arm, found in arms.items()},
        "carriers": {arm: found[0]["carriers"] for arm, found in arms.items()},
        "panels": {arm: found[0]["panel"] for arm, found in arms.items()},
        "separation": {arm: _separation(found) for arm, found in arms.items()},
        "before": before,
        "models": [_model(found) for some in arms.values() for found in some],
    }


def _before(models: Sequence[Found]) -> dict[str, float | None] | None:
    """Return the base's RS on the pictures of each family: what of a trained model's is the pictures' doing."""
    bases = [found for found in models if found["kind"] == "base"]
    return {family: r["rs"]["value"] for family, r in bases[0]["redundancy_own"].items()} if bases else None


def _values(models: Sequence[Found], measure: str) -> list[float | None]:
    return [MEASURES[measure](found)[0] for found in models]


def _row(arm: str, models: Sequence[Found], plan: Plan) -> dict[str, Any]:
    flags = {flag for found in models for flag in found["redundancy"]["rs"]["flags"]}
    return {
        "arm": arm,
        "kind": models[0]["kind"],
        "own": models[0]["own"],
        "seeds": [found["seed"] for found in models],
        "flags": sorted(flags),
        **{name: measured(models, name).document() for name in MEASURES if _applies(name, models)},
    }


def _applies(measure: str, models: Sequence[Found]) -> bool:
    """Whether a measure is about families that a model was trained on, which the base has none of."""
    return bool(models[0]["own"]) or measure not in (
        "rs_own",
        "rs_own_change",
        "accuracy",
        "blind",
        "drop_area",
        "drop_f95",
    )


def _transfer(arms: Arms, plan: Plan) -> dict[str, Any]:
    """Accuracy by arm and family; the row `blind` has for each family its own models behind a grey picture."""
    table: dict[str, Any] = {
        arm: {family: _accuracy([found["accuracy"][family] for found in models]) for family in plan.families}
        for arm, models in arms.items()
    }
    table["blind"] = {
        family: _accuracy([found["blind"][family] for found in arms[family]])
        for family in plan.families
        if family in arms
    }
    return table


def _accuracy(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    spread = over_seeds([score["value"] for score in scores], [score["stderr"] for score in scores], share=True)
    return {"score": scores[0]["score"], "chance": scores[0]["chance"], **spread.document()}


def _learned(plan: Plan, arms: Arms) -> list[dict[str, Any]]:
    """Say for each family whether training on it raised its accuracy over the base, and over guessing."""
    rows = []
    for family in plan.families:
        if family not in arms or "base" not in arms:
            continue
        before = arms["base"][0]["accuracy"][family]
        after = _accuracy([found["accuracy"][family] for found in arms[family]])
        blind = _accuracy([found["blind"][family] for found in arms[family]])
        rows.append(
            {
                "family": family,
                "base": before["value"],
                "trained": after["mean"],
                "blind": blind["mean"],
                "ranking_base": _ranking(arms["base"], family),
                "ranking_trained": _ranking(arms[family], family),
                "raised": after["low"] is not None and before["high"] is not None and after["low"] > before["high"],
                "sees": after["low"] is not None and blind["high"] is not None and after["low"] > blind["high"],
            }
        )
    return rows


def _ranking(models: Sequence[Found], family: str) -> float | None:
    values = [found["ranking"][family]["value"] for found in models if family in found["ranking"]]
    return float(np.mean(values)) if values else None


def _correlation(models: Sequence[Found], rs: str, drop: str) -> dict[str, Any]:
    """Spearman's rank correlation of RS with the drop curve over all trained models that have both."""
    pairs = [(MEASURES[rs](found)[0], MEASURES[drop](found)[0]) for found in models if found["own"]]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    row: dict[str, Any] = {"rs": rs, "drop": drop, "models": len(known), "rho": None, "p": None}
    if len(known) >= 4 and len({a for a, _ in known}) > 1 and len({b for _, b in known}) > 1:
        rho, p = spearmanr(*zip(*known, strict=True))
        row |= {"rho": float(rho), "p": float(p)}
    return row


def _layers(models: Sequence[Found]) -> dict[str, Any]:
    return {
        layer: over_seeds(
            [found["layers"][layer]["value"] for found in models],
            [found["layers"][layer]["stderr"] for found in models],
        ).document()
        for layer in models[0]["layers"]
    }


def _drop(models: Sequence[Found]) -> dict[str, Any]:
    """The mean curve over seeds, by family, policy and share of tokens."""
    curves = {}
    for family in models[0]["own"]:
        rows = [found["drop"][family]["curve"] for found in models]
        curves[family] = [
            {"policy": points[0]["policy"], "fraction": points[0]["fraction"], "tokens": points[0]["tokens"]}
            | over_seeds(
                [point["value"] for point in points], [_stderr(point) for point in points], share=True
            ).document()
            for points in zip(*rows, strict=True)
        ]
    return curves


def _stderr(point: Mapping[str, Any]) -> float | None:
    return None if point["low"] is None else (point["high"] - point["low"]) / 3.92


def _cues(models: Sequence[Found]) -> list[dict[str, Any]]:
    """The retention matrix, the mean over seeds of each reading."""
    readings: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for found in models:
        for row in found["cues"]:
            readings.setdefault((row["cue"], row["stage"], row["probe"], row["control"]), []).append(row)
    return [
        {"cue": cue, "stage": stage, "probe": probe, "control": control, "chance": rows[0]["chance"]}
        | {
            "accuracy": over_seeds(
                [row["accuracy"] for row in rows], [row["stderr"] for row in rows], share=True
            ).document(),
            "retention": _mean([row["retention"] for row in rows]),
        }
        for (cue, stage, probe, control), rows in readings.items()
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _separation(models: Sequence[Found]) -> dict[str, Any]:
    """How well tokens of one word are told from others in the embedding space, by colouring, over seeds."""
    numbers = [found["panel"]["numbers"] for found in models]
    return {
        colouring: {
            name: over_seeds([number[colouring][name] for number in numbers], [None] * len(numbers)).document()
            for name in ("silhouette", "purity")
        }
        | {"chance": numbers[0][colouring]["chance"]}
        for colouring in numbers[0]
    }


def _model(found: Found) -> dict[str, Any]:
    """One model's own numbers, flat."""
    row: dict[str, Any] = {"model": found["name"], "arm": found["arm"], "kind": found["kind"], "seed": found["seed"]}
    for name, measure in MEASURES.items():
        if _applies(name, [found]):
            row[name] = measure(found)[0]
    row |= {f"accuracy_{family}": score["value"] for family, score in found["accuracy"].items()}
    row |= {f"rs_on_{family}": scores["rs"]["value"] for family, scores in found["redundancy_own"].items()}
    return row | {"flags": " ".join(found["redundancy"]["rs"]["flags"])}
