"""The results of one model: read from its stored runs, and reduced to the numbers that a study compares.

Reading copies scores with their interval, standard error and flags, and computes nothing. `MEASURES` then has one
function per number, from a model's results to a value and its standard error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vtbench.report import previews
from vtbench.runs.reader import read_records, read_run, runs
from vtbench.scoring import credit
from vtbench.stats import Estimate, mean_of_independent, mean_over_seeds
from vtbench_probes import retention_matrix
from vtbench_probes.retention_table import STAGES
from vtbench_redundancy.scores.stored_scores import with_details
from vtbench_study.plan import Cell

ModelResults = Mapping[str, Any]
"""What `read_model_results` returns of one model; `summary.summarise` adds `before`, the base's RS by family."""
IMAGE_DF = 9
"""Degrees of freedom of a standard error over images: the jackknife has ten groups."""

SCORE_FIELDS = ("value", "stderr", "low", "high", "chance", "n", "flags")
REDUNDANCY_SCORES = ("rs", "n_eff_16", "discarded", "cue_information", "r_pix", "delta_rs", "n_eff")
TOKEN_SCORES = ("carriers", "uncarried", "unique", "dead", "sink", "effective_rank_rel", "participation_rel",
                "stable_rank_rel", "cosine_excess", "norm_gini_excess")  # fmt: skip


def protocols_of(models: Sequence[ModelResults]) -> list[str]:
    """Return the protocols that the models' RS was measured by, in order of appearance."""
    parts = [part for m in models for part in (m["redundancy"], *m["redundancy_own"].values())]
    return list(dict.fromkeys(part["protocol"] for part in parts if part.get("protocol")))


def finished_run(parent: Path) -> Path | None:
    """Return the finished run in a directory of runs; None if there is none."""
    finished = [run for run in runs(parent) if run.get("finished")]
    return Path(finished[0]["path"]) if finished else None


def run_on_test(what: str, task: str) -> str:
    """Return the name of a run on one of the plan's tests: its `answers`, or the `redundancy` on its images."""
    return f"{what}-{task}"


def read_tests(home: Path, tests: Sequence[str]) -> dict[str, dict[str, Any]] | None:
    """Return by test what was measured on it; None if something was not.

    Args:
        home: with the runs of a model.
        tests: names of tasks.

    Returns:
        By task its main score, with `ranking`, accuracy by ranking, and `rs`; both None where a task has none.
    """
    found = {}
    for task in tests:
        answers, redundancy = (stored_results(home / run_on_test(what, task)) for what in ("answers", "redundancy"))
        if answers is None or redundancy is None:
            return None
        scores, rs = answers["scores"][task], redundancy["scores"][task]["rs"]
        ranking = scores.get("rank_acc", {}).get("value")
        found[task] = main_score(scores) | {"ranking": ranking, "rs": rs["value"]}
    return found


def read_model_results(directory: Path, cell: Cell, tests: Sequence[str] = ()) -> dict[str, Any] | None:
    """Return everything that was measured of a model; None if it is not finished.

    Args:
        directory: of the study.
        cell: the model.
        tests: of the plan.

    Returns:
        `name`, `arm`, `kind`, `seed`, and `own`: the families it was trained on; `accuracy`, `ranking` and `blind`
        (image replaced by grey) by family; `redundancy` on the probe set and `redundancy_own` by training family, each
        with `information` in nats and its `protocol`; `layers`: RS by layer; `tokens`: further scores of the token set;
        `carriers`: information of each token (row) about each patch (column); `drop` by training family; `cues`: rows
        of the retention matrix; `panel`: t-SNE of the tokens; `tests`: what `read_tests` returns.
    """
    home, panel = directory / "runs" / cell.name, directory / "tokens" / f"{cell.name}.json"
    names = ["answers", "probe", "cues", "own", *(["blind", "drop"] if cell.families else [])]
    found = {name: stored_results(home / name) for name in names}
    on_tests = read_tests(home, tests)
    if not panel.exists() or on_tests is None or any(results is None for results in found.values()):
        return None
    results = {name: document for name, document in found.items() if document is not None}
    by_family = {name: results.get(name, {"scores": {}})["scores"] for name in ("answers", "own", "blind", "drop")}
    probe = results["probe"]["scores"]["probe"]
    return {
        "name": cell.name,
        "arm": cell.arm,
        "kind": cell.kind,
        "seed": cell.seed,
        "own": cell.families,
        "accuracy": {family: main_score(scores) for family, scores in by_family["answers"].items()}
        | {task: found for task, found in on_tests.items() if task in cell.families},
        "ranking": {
            family: _score(scores["rank_acc"])
            for family, scores in by_family["answers"].items()
            if scores.get("rank_acc", {}).get("value") is not None
        },
        "blind": {family: main_score(scores) for family, scores in by_family["blind"].items()},
        "redundancy": _redundancy(probe),
        "redundancy_own": {family: _redundancy(scores) for family, scores in by_family["own"].items()},
        "layers": _layers(probe),
        "tokens": {name: _score(probe[name]) for name in TOKEN_SCORES if name in probe},
        "carriers": probe["carriers"]["detail"].get("map"),
        "drop": {family: _drop_scores(scores) for family, scores in by_family["drop"].items()},
        "cues": [row for row in retention_matrix(results["cues"]) if row["probe"]],
        "panel": json.loads(panel.read_text(encoding="utf-8")),
        "tests": on_tests,
    }


def example_image(directory: Path) -> str | None:
    """Return an image of the probe set as a data URI; None if no run has one, or it cannot be generated again."""
    for home in sorted((directory / "runs").glob("*/probe")):
        if path := finished_run(home):
            return previews.example_image(read_run(path), "probe", read_records(path, "probe"))
    return None


def main_score(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return a family's main score with its name."""
    name = credit.main_score({name: score["value"] for name, score in scores.items()})
    return {"score": name, **_score(scores[name])}


def _score(score: Mapping[str, Any]) -> dict[str, Any]:
    low, high = score["interval"] or (None, None)
    flat = {**score, "low": low, "high": high}
    return {key: flat[key] for key in SCORE_FIELDS}


def _redundancy(scores: Mapping[str, Any]) -> dict[str, Any]:
    detail, every = scores["rs"]["detail"], with_details(scores)
    facts = {"information": detail.get("information_joint"), "protocol": detail.get("protocol")}
    kept = {"rs_kept": share_kept(scores.get("rs")), "cue_kept": share_kept(scores.get("cue_information"))}
    return {name: _score(every[name]) for name in REDUNDANCY_SCORES if name in every} | facts | kept


def share_kept(score: Mapping[str, Any] | None) -> float | None:
    """Return the share of a score's information that a quarter of the tokens has, from its curve; None without one."""
    curve = (score or {}).get("detail", {}).get("curve") or []
    quarter = max((row["tokens"] for row in curve), default=0) / 4
    return next((row["value"] for row in curve if abs(row["tokens"] - quarter) < 1), None)


def _layers(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return RS by layer, in the order of the forward pass."""
    by_layer = {s["detail"]["layer"]: _score(s) for name, s in scores.items() if name.startswith("rs_")}
    return dict(sorted(by_layer.items(), key=lambda item: STAGES.index(item[0])))


def _drop_scores(scores: Mapping[str, Any]) -> dict[str, Any]:
    names = ("drop_area", "drop_area_grid", "drop_area_downsample", "drop_f95")
    return {name: _score(scores[name]) for name in names} | {"curve": scores["drop_area"]["detail"].get("curve")}


def stored_results(parent: Path) -> dict[str, Any] | None:
    """Return results.json of the finished run in a directory of runs; None if there is none."""
    path = finished_run(parent)
    if path is None:
        return None
    document: dict[str, Any] = json.loads((path / "results.json").read_text(encoding="utf-8"))
    return document


def stored_estimate(score: Mapping[str, Any] | None) -> Estimate:
    """Return a stored score's value and its standard error over images."""
    return Estimate(None) if score is None else Estimate(score["value"], score["stderr"])


def _over_families(results: ModelResults, part: str, name: str | None = None) -> Estimate:
    """Return the mean over the families that a model was trained on; their images are independent samples."""
    by_family = [results[part][family] for family in results["own"]]
    return mean_of_independent([stored_estimate(scores if name is None else scores[name]) for scores in by_family])


def _rs_change(results: ModelResults) -> Estimate:
    """Return RS on images of the training families, minus the base's RS on the same images.

    It has no standard error: that over images mostly cancels, as both models see the same.
    """
    before = results.get("before")
    changes = []
    for family in results["own"]:
        after = results["redundancy_own"][family]["rs"]["value"]
        if before is None or after is None or before.get(family) is None:
            return Estimate(None)
        changes.append(after - before[family])
    return Estimate(sum(changes) / len(changes) if changes else None)


MEASURES: Mapping[str, Callable[[ModelResults], Estimate]] = {
    "rs_probe": lambda results: stored_estimate(results["redundancy"]["rs"]),
    "rs_own": lambda results: _over_families(results, "redundancy_own", "rs"),
    "rs_own_change": _rs_change,
    "delta_rs": lambda results: stored_estimate(results["redundancy"]["delta_rs"]),
    "n_eff_16": lambda results: stored_estimate(results["redundancy"].get("n_eff_16")),
    "n_eff": lambda results: stored_estimate(results["redundancy"]["n_eff"]),
    "discarded": lambda results: stored_estimate(results["redundancy"]["discarded"]),
    "information": lambda results: Estimate(results["redundancy"]["information"]),
    "cue_information": lambda results: stored_estimate(results["redundancy"].get("cue_information")),
    "cue_kept": lambda results: Estimate(results["redundancy"].get("cue_kept")),
    "accuracy": lambda results: _over_families(results, "accuracy"),
    "blind": lambda results: _over_families(results, "blind"),
    "drop_area": lambda results: _over_families(results, "drop", "drop_area"),
    "drop_f95": lambda results: _over_families(results, "drop", "drop_f95"),
    "clusters": lambda results: Estimate(results["panel"]["numbers"]["object"]["silhouette"]),
    "purity": lambda results: Estimate(results["panel"]["numbers"]["object"]["purity"]),
    "unique": lambda results: stored_estimate(results["tokens"].get("unique")),
    "dead": lambda results: stored_estimate(results["tokens"].get("dead")),
    "carriers": lambda results: stored_estimate(results["tokens"].get("carriers")),
}
"""The compared numbers by name, which is a key of study.json. `OF_TRAINED_FAMILIES` are means over the families that a
model was trained on, all others are on the probe set."""
OF_TRAINED_FAMILIES = frozenset({"rs_own", "rs_own_change", "accuracy", "blind", "drop_area", "drop_f95"})
"""The base has none of these."""
NEWER = frozenset({"n_eff_16", "cue_information", "cue_kept"})
"""Measures that runs of vtbench 0.1.0 do not have; tables leave them out where no model has them."""
FRACTIONS = frozenset({"discarded", "accuracy", "blind", "unique", "dead", "drop_f95"})
"""Measures in [0, 1]."""


def mean_over_models(models: Sequence[ModelResults], measure: str) -> Estimate:
    """Return a measure's mean over the models of one arm."""
    return _mean([MEASURES[measure](results) for results in models], measure in FRACTIONS)


def mean_row(estimates: Sequence[Estimate], bounded: bool = False) -> dict[str, Any]:
    """Return a mean over training seeds as study.json stores it.

    Args:
        estimates: one a seed, with standard errors over images.
        bounded: whether values lie in [0, 1].

    Returns:
        `mean`: over the seeds that have a value; None if none has. `low`, `high`: 95 % interval over seeds and images.
        `seed_sd`: standard deviation between seeds; None for one seed. `image_se`: standard error of the mean due to
        the choice of images. `values`: one per seed.
    """
    values = [estimate.value for estimate in estimates]
    known = [value for value in values if value is not None]
    variances = [estimate.stderr**2 for estimate in estimates if estimate.stderr is not None]
    found = _mean(estimates, bounded).row()
    return {
        "mean": found.pop("value"),
        **found,
        "seed_sd": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        "image_se": float(np.sqrt(np.mean(variances))) if known and variances else None,
        "values": values,
    }


def _mean(estimates: Sequence[Estimate], bounded: bool) -> Estimate:
    return mean_over_seeds(estimates, IMAGE_DF, (0.0, 1.0) if bounded else (-np.inf, np.inf))


def mean_of_known(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are known; None if none is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
