"""The document of a study, study.json: tables over arms and verdicts, computed from the results of every model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vtbench.stats import Z95, Estimate
from vtbench_study.checkpoint_results import association_rows
from vtbench_study.model_results import (
    FRACTIONS,
    MEASURES,
    NEWER,
    OF_TRAINED_FAMILIES,
    ModelResults,
    mean_of_known,
    mean_row,
    stored_estimate,
)
from vtbench_study.paper_claims import PAPER, SOURCE, Arms, advice_rows, claim_rows, full_rate_rows
from vtbench_study.plan import Plan
from vtbench_study.trend_tests import rank_correlation


def summarise(
    plan: Plan,
    models: Sequence[ModelResults],
    facts: Mapping[str, Any],
    checkpoints: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the study's document, as JSON-able data.

    Args:
        plan: of the study.
        models: what `read_model_results` returned for every finished model.
        facts: versions, hardware and the like.
        checkpoints: what `checkpoint_rows` returned.

    Returns:
        `table`: one row per arm, with `MEASURES`; `transfer`: accuracy of each arm on each family and test; `claims`
        with the tests of their trends; `full_rate_claims`, the same over the arms at the full rate, and `full_rate`:
        these compared with their control arms; `advice`: mixes and penalties compared with theirs; `learned`: whether
        training raised accuracy, by family; `rank_correlation` of RS with the drop curve; `checkpoints`, and
        `associations` over them; `layers`, `drop`, `cues`, `carriers`, `panels`, `separation` by arm; `before`: the
        base's RS on each family's images; `models`: one row per model; `missing`: names of unfinished models.
    """
    arms: dict[str, list[ModelResults]] = {}
    before = _base_rs(models)
    for results in models:
        arms.setdefault(results["arm"], []).append({**results, "before": before})
    return {
        "plan": plan.document(),
        "facts": dict(facts),
        "missing": [cell.name for cell in plan.cells() if cell.name not in {results["name"] for results in models}],
        "paper": {"source": SOURCE} | {name: {"rs": row.rs, "accuracy": row.accuracy} for name, row in PAPER.items()},
        "table": [_table_row(arm, in_arm) for arm, in_arm in arms.items()],
        "transfer": _transfer(arms, plan),
        "claims": claim_rows([arms.get(family, []) for family in plan.families], plan.margin),
        "full_rate_claims": _full_rate_claims(plan, arms),
        "full_rate": full_rate_rows(plan, arms),
        "advice": advice_rows(plan, arms),
        "learned": _learning_rows(plan, arms),
        "rank_correlation": [
            _correlation_row(models, rs, drop) for rs in ("rs_probe", "rs_own") for drop in ("drop_area", "drop_f95")
        ],
        "checkpoints": [dict(row) for row in checkpoints],
        "associations": association_rows(checkpoints),
        "layers": {arm: _layers(in_arm) for arm, in_arm in arms.items()},
        "drop": {arm: _drop_curves(in_arm) for arm, in_arm in arms.items() if in_arm[0]["drop"]},
        "cues": {arm: _cue_rows(in_arm) for arm, in_arm in arms.items()},
        "carriers": {arm: in_arm[0]["carriers"] for arm, in_arm in arms.items()},
        "panels": {arm: in_arm[0]["panel"] for arm, in_arm in arms.items()},
        "separation": {arm: _separation(in_arm) for arm, in_arm in arms.items()},
        "before": before,
        "models": [_model_row(results) for in_arm in arms.values() for results in in_arm],
    }


def _full_rate_claims(plan: Plan, arms: Arms) -> list[dict[str, Any]]:
    """Return the claims' tests over the families that were trained at the full rate too, if there are several."""
    families = [family for family in plan.families if family in plan.full_rate]
    models = [arms.get(f"{family}+full_rate", []) for family in families]
    return claim_rows(models, plan.margin) if len(families) > 1 else []


def _base_rs(models: Sequence[ModelResults]) -> dict[str, float | None] | None:
    """Return the base's RS on each family's images: the part of a trained model's RS that is due to the images."""
    bases = [results for results in models if results["kind"] == "base"]
    return {family: r["rs"]["value"] for family, r in bases[0]["redundancy_own"].items()} if bases else None


def _table_row(arm: str, models: Sequence[ModelResults]) -> dict[str, Any]:
    flags = {flag for results in models for flag in results["redundancy"]["rs"]["flags"]}
    return {
        "arm": arm,
        "kind": models[0]["kind"],
        "own": models[0]["own"],
        "seeds": [results["seed"] for results in models],
        "flags": sorted(flags),
        **{
            name: mean_row([MEASURES[name](results) for results in models], name in FRACTIONS)
            for name in _measures_of(models[0])
            if name not in NEWER or any(MEASURES[name](results).value is not None for results in models)
        },
    }


def _measures_of(results: ModelResults) -> list[str]:
    """Return the measures that a model has: the base has none of those on training families."""
    return [name for name in MEASURES if results["own"] or name not in OF_TRAINED_FAMILIES]


def _transfer(arms: Arms, plan: Plan) -> dict[str, Any]:
    """Return accuracy by arm and task; the row `blind` has each family's own models with the image replaced."""
    table: dict[str, Any] = {
        arm: {family: _accuracy([results["accuracy"][family] for results in models]) for family in plan.families}
        | {task: _accuracy([results["tests"][task] for results in models]) for task in plan.tests}
        for arm, models in arms.items()
    }
    table["blind"] = {
        family: _accuracy([results["blind"][family] for results in arms[family]])
        for family in plan.families
        if family in arms
    }
    return table


def _accuracy(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    mean = mean_row([stored_estimate(score) for score in scores], bounded=True)
    return {"score": scores[0]["score"], "chance": scores[0]["chance"], **mean}


def _learning_rows(plan: Plan, arms: Arms) -> list[dict[str, Any]]:
    """Return for each family whether training on it raised accuracy above the base's, and above that without images.

    Both are decided by whether the 95 % intervals are disjoint.
    """
    rows = []
    for family in plan.families:
        if family not in arms or "base" not in arms:
            continue
        before = arms["base"][0]["accuracy"][family]
        after = _accuracy([results["accuracy"][family] for results in arms[family]])
        blind = _accuracy([results["blind"][family] for results in arms[family]])
        rows.append(
            {
                "family": family,
                "base": before["value"],
                "trained": after["mean"],
                "blind": blind["mean"],
                "ranking_base": _ranking_accuracy(arms["base"], family),
                "ranking_trained": _ranking_accuracy(arms[family], family),
                "raised": after["low"] is not None and before["high"] is not None and after["low"] > before["high"],
                "sees": after["low"] is not None and blind["high"] is not None and after["low"] > blind["high"],
            }
        )
    return rows


def _ranking_accuracy(models: Sequence[ModelResults], family: str) -> float | None:
    return mean_of_known([results["ranking"][family]["value"] for results in models if family in results["ranking"]])


def _correlation_row(models: Sequence[ModelResults], rs: str, drop: str) -> dict[str, Any]:
    """Return the rank correlation of RS with the drop curve over all trained models that have both."""
    pairs = [(MEASURES[rs](results).value, MEASURES[drop](results).value) for results in models if results["own"]]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    rho, p = rank_correlation(known) or (None, None)
    return {"rs": rs, "drop": drop, "models": len(known), "rho": rho, "p": p}


def _layers(models: Sequence[ModelResults]) -> dict[str, Any]:
    """Return RS by layer."""
    return {
        layer: mean_row([stored_estimate(results["layers"][layer]) for results in models])
        for layer in models[0]["layers"]
    }


def _drop_curves(models: Sequence[ModelResults]) -> dict[str, Any]:
    """Return the mean drop curve by family: one point per policy and fraction of tokens kept."""
    curves = {}
    for family in models[0]["own"]:
        by_model = [results["drop"][family]["curve"] for results in models]
        curves[family] = [
            {"policy": points[0]["policy"], "fraction": points[0]["fraction"], "tokens": points[0]["tokens"]}
            | mean_row([_point_estimate(point) for point in points], bounded=True)
            for points in zip(*by_model, strict=True)
        ]
    return curves


def _point_estimate(point: Mapping[str, Any]) -> Estimate:
    """Return a point of a drop curve, with the standard error behind a normal interval of this width."""
    low, high = point["low"], point["high"]
    return Estimate(point["value"], None if low is None or high is None else (high - low) / (2 * Z95))


def _cue_rows(models: Sequence[ModelResults]) -> list[dict[str, Any]]:
    """Return the retention matrix, each entry a mean over seeds."""
    entries: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for results in models:
        for row in results["cues"]:
            entries.setdefault((row["cue"], row["stage"], row["probe"], row["control"]), []).append(row)
    return [
        {"cue": cue, "stage": stage, "probe": probe, "control": control, "chance": rows[0]["chance"]}
        | {
            "accuracy": mean_row([Estimate(row["accuracy"], row["stderr"]) for row in rows], bounded=True),
            "retention": mean_of_known([row["retention"] for row in rows]),
        }
        for (cue, stage, probe, control), rows in entries.items()
    ]


def _separation(models: Sequence[ModelResults]) -> dict[str, Any]:
    """Return silhouette and neighbour purity of tokens grouped by label, in the embedding space, by kind of label."""
    numbers = [results["panel"]["numbers"] for results in models]
    return {
        labelling: {
            name: mean_row([Estimate(number[labelling][name]) for number in numbers])
            for name in ("silhouette", "purity")
        }
        | {"chance": numbers[0][labelling]["chance"]}
        for labelling in numbers[0]
    }


def _model_row(results: ModelResults) -> dict[str, Any]:
    """Return one model's own numbers, flat."""
    row = {"model": results["name"], "arm": results["arm"], "kind": results["kind"], "seed": results["seed"]}
    row |= {name: MEASURES[name](results).value for name in _measures_of(results)}
    tests = results.get("tests", {})
    row |= {f"accuracy_{task}": score["value"] for task, score in (results["accuracy"] | tests).items()}
    row |= {f"rs_on_{family}": scores["rs"]["value"] for family, scores in results["redundancy_own"].items()}
    row |= {f"rs_on_{task}": score["rs"] for task, score in tests.items()}
    return row | {"flags": " ".join(results["redundancy"]["rs"]["flags"])}
