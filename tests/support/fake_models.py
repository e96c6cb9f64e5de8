"""Fake results of models, as `read_model_results` returns them, with given RS, accuracy and information."""

from __future__ import annotations

from typing import Any

from vtbench_study.plan import Cell, Plan

CUES = ("shape", "binding")
STAGES = ("pixels", "encoder", "connector")
LABELLINGS = ("object", "colour", "texture", "background")


def score(value: float | None, half: float = 0.02, chance: float | None = None) -> dict[str, Any]:
    low, high = (None, None) if value is None else (value - half, value + half)
    return {"value": value, "stderr": half / 2, "low": low, "high": high, "chance": chance, "n": 100, "flags": []}


def redundancy(rs: float, information: float = 100.0) -> dict[str, Any]:
    names = {"r_pix": 0.6, "delta_rs": rs - 0.6, "n_eff": 64 * (1 - rs), "discarded": 0.8}
    return {"rs": score(rs), **{k: score(v) for k, v in names.items()}, "information": information}


def fake_results(
    cell: Cell, plan: Plan, rs: float, accuracy: float = 0.8, information: float = 100.0
) -> dict[str, Any]:
    """Return the results of a model; `accuracy` is that on its training families."""
    tilt = 0.001 * (cell.seed or 0)  # every seed differs a little
    families = cell.families or list(plan.families)
    accuracies = {f: accuracy if f in cell.families else 0.1 for f in (*plan.families, *cell.families)}
    curve = [
        {"policy": policy, "fraction": f, "tokens": 64 * f, "value": 0.3 + 0.5 * f, "low": 0.25 + 0.5 * f,
         "high": 0.35 + 0.5 * f, "n": 100}
        for policy, f in (("any", 0.0), ("random", 0.25), ("grid", 0.25), ("any", 1.0))
    ]  # fmt: skip
    number = {"silhouette": rs / 2 + tilt, "purity": 0.5, "chance": 0.2, "neighbours": 10, "n": 4}
    return {
        "name": cell.name, "arm": cell.arm, "kind": cell.kind, "seed": cell.seed, "own": cell.families,
        "accuracy": {f: {"score": "acc", **score(value, chance=0.1)} for f, value in accuracies.items()},
        "ranking": {f: score(0.5) for f in plan.families if f != "scene_graph"},
        "blind": {f: {"score": "acc", **score(0.2)} for f in cell.families},
        "redundancy": redundancy(rs + tilt, information),
        "redundancy_own": {f: redundancy(rs + tilt, information) for f in families},
        "layers": {layer: score(rs) for layer in ("encoder", "connector", "decoder_50")},
        "tokens": {name: score(0.1) for name in ("carriers", "unique", "dead")},
        "carriers": [[float(i == j) for j in range(4)] for i in range(4)],
        "drop": {f: {"drop_area": score(0.5 - rs / 4 + tilt), "drop_area_grid": score(0.5), "drop_f95": score(0.5),
                     "drop_area_downsample": score(0.5), "curve": curve} for f in cell.families},
        "cues": [
            {"cue": cue, "stage": stage, "probe": probe, "control": control, "accuracy": 0.7, "stderr": 0.01,
             "chance": 0.125, "retention": 0.0 if control else 0.66}
            for cue in CUES for stage in STAGES for probe in ("linear", "attention")
            for control in (("", "shuffled", "grey") if stage == "connector" else ("",))
        ],
        "panel": {"points": [[0.0, 1.0], [1.0, 0.0], [2.0, 2.0], [3.0, 1.0]],
                  "labels": {c: ["star", "ring", None, "star"] for c in LABELLINGS},
                  "numbers": dict.fromkeys(LABELLINGS, number)},
    }  # fmt: skip


FACTS = {
    "benchmark": "b",
    "versions": {"vtbench": "0"},
    "hardware": {"machine": "m", "cores": 2, "gpu": None},
    "git": None,
}
FALLING = {"coarse": 0.8, "attribute": 0.7, "relational": 0.6, "scene_graph": 0.5, "balanced": 0.6, "base": 0.7,
           "coarse+full_rate": 0.8, "scene_graph+full_rate": 0.5}  # fmt: skip
