"""What the runs of one model say, brought together: a study's directory and a cell in, JSON-able data out.

Nothing is computed here but looked up; a score keeps its value, interval, standard error and flags.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vtbench.report.pictures import Album, Pictures
from vtbench.stored import read_records, read_run
from vtbench_probes import retention_matrix
from vtbench_probes.matrix import STAGES
from vtbench_study.cell import finished_run
from vtbench_study.plan import Cell

KEPT = ("value", "stderr", "low", "high", "chance", "n", "flags")
REDUNDANCY = ("rs", "r_pix", "delta_rs", "n_eff", "discarded")
TOKENS = ("carriers", "uncarried", "unique", "dead", "sink", "effective_rank_rel", "participation_rel",
          "stable_rank_rel", "cosine_excess", "norm_gini_excess")  # fmt: skip
"""Supporting scores, by name."""


def gather(directory: Path, cell: Cell) -> dict[str, Any] | None:
    """Return everything that was measured of a model; None where it is not finished.

    Returns:
        `name`, `arm`, `kind`, `seed`, `own`; `accuracy` and `blind` by family; `redundancy` on the probe set and
        `redundancy_own` by family, each with `information`; `layers` by layer; `tokens`: supporting scores; `carriers`:
        the map of token by patch; `drop` by family; `cues`: rows of the retention matrix; `panel`: tokens in the plane.
    """
    home, panel = directory / "runs" / cell.name, directory / "tokens" / f"{cell.name}.json"
    wanted = ["answers", "probe", "cues", "own", *(["blind", "drop"] if cell.own else [])]
    found = {name: _results(home / name) for name in wanted}
    if not panel.exists() or any(results is None for results in found.values()):
        return None
    runs = {name: results for name, results in found.items() if results is not None}
    probe = runs["probe"]["scores"]["probe"]
    return {
        "name": cell.name,
        "arm": cell.arm,
        "kind": cell.kind,
        "seed": cell.seed,
        "own": cell.own,
        "accuracy": {family: main_score(scores) for family, scores in runs["answers"]["scores"].items()},
        "ranking": {
            family: _score(scores["rank_acc"])
            for family, scores in runs["answers"]["scores"].items()
            if scores.get("rank_acc", {}).get("value") is not None
        },
        "blind": {family: main_score(scores) for family, scores in runs.get("blind", {"scores": {}})["scores"].items()},
        "redundancy": _redundancy(probe),
        "redundancy_own": {family: _redundancy(scores) for family, scores in runs["own"]["scores"].items()},
        "layers": _layers(probe),
        "tokens": {name: _score(probe[name]) for name in TOKENS if name in probe},
        "carriers": probe["carriers"]["detail"].get("map"),
        "drop": {family: _drop(scores) for family, scores in runs.get("drop", {"scores": {}})["scores"].items()},
        "cues": [row for row in retention_matrix(runs["cues"]) if row["probe"]],
        "panel": json.loads(panel.read_text(encoding="utf-8")),
    }


def example_picture(directory: Path) -> str | None:
    """Return a picture of the probe set as a data URI, None where no model has seen one or it cannot be made again."""
    for home in sorted((directory / "runs").glob("*/probe")):
        if path := finished_run(home):
            record = next(record for record in read_records(path, "probe") if record.error is None)
            album = Album()
            Pictures(read_run(path), "probe", album).of(record)
            return album.uris[0] if album.uris else None
    return None


def main_score(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return a family's main score, with its name: tuple F1 where answers are scene graphs, else accuracy."""
    graph = scores.get("tuple_f1")
    name = "tuple_f1" if graph is not None and graph["value"] is not None else "acc"
    return {"score": name, **_score(scores[name])}


def _score(score: Mapping[str, Any]) -> dict[str, Any]:
    low, high = score["interval"] or (None, None)
    whole = {**score, "low": low, "high": high}
    return {key: whole[key] for key in KEPT}


def _redundancy(scores: Mapping[str, Any]) -> dict[str, Any]:
    information = scores["rs"]["detail"].get("information_joint")
    return {name: _score(scores[name]) for name in REDUNDANCY} | {"information": information}


def _layers(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return RS by layer, in the order in which a picture passes them."""
    found = {s["detail"]["layer"]: _score(s) for name, s in scores.items() if name.startswith("rs_")}
    return dict(sorted(found.items(), key=lambda item: STAGES.index(item[0])))


def _drop(scores: Mapping[str, Any]) -> dict[str, Any]:
    names = ("drop_area", "drop_area_grid", "drop_area_downsample", "drop_f95")
    return {name: _score(scores[name]) for name in names} | {"curve": scores["drop_area"]["detail"].get("curve")}


def _results(parent: Path) -> dict[str, Any] | None:
    path = finished_run(parent)
    if path is None:
        return None
    document: dict[str, Any] = json.loads((path / "results.json").read_text(encoding="utf-8"))
    return document
