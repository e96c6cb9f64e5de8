"""The numbers by which models are compared: what `gather` found of a model in, one value with its error out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vtbench_study.spread import Spread, over_seeds

Found = Mapping[str, Any]
"""What `gathering.gather` returns of one model, and `before`: the base's RS by family, on that family's pictures."""
Value = tuple[float | None, float | None]
"""A value and its standard error."""


def _of(score: Mapping[str, Any] | None) -> Value:
    return (None, None) if score is None else (score["value"], score["stderr"])


def _mean(scores: Sequence[Mapping[str, Any]]) -> Value:
    """The mean over a model's own families; their pictures differ, so that errors average out."""
    values = [_of(score) for score in scores]
    if not values or any(value is None for value, _ in values):
        return None, None
    errors = [error for _, error in values if error is not None]
    total = sum(error**2 for error in errors) ** 0.5 / len(values) if len(errors) == len(values) else None
    return sum(value for value, _ in values if value is not None) / len(values), total


def _own(found: Found, part: str, name: str | None = None) -> Value:
    scores = [found[part][family] for family in found["own"]]
    return _mean([score if name is None else score[name] for score in scores])


def _change(found: Found) -> Value:
    """RS on the pictures of a model's own families, less the base's on the same; the errors, all but one, cancel."""
    before = found.get("before")
    changes = []
    for family in found["own"]:
        after = found["redundancy_own"][family]["rs"]["value"]
        if before is None or after is None or before.get(family) is None:
            return None, None
        changes.append(after - before[family])
    return (sum(changes) / len(changes), None) if changes else (None, None)


MEASURES: Mapping[str, Callable[[Found], Value]] = {
    "rs_probe": lambda found: _of(found["redundancy"]["rs"]),
    "rs_own": lambda found: _own(found, "redundancy_own", "rs"),
    "rs_own_change": _change,
    "delta_rs": lambda found: _of(found["redundancy"]["delta_rs"]),
    "n_eff": lambda found: _of(found["redundancy"]["n_eff"]),
    "discarded": lambda found: _of(found["redundancy"]["discarded"]),
    "information": lambda found: (found["redundancy"]["information"], None),
    "accuracy": lambda found: _own(found, "accuracy"),
    "blind": lambda found: _own(found, "blind"),
    "drop_area": lambda found: _own(found, "drop", "drop_area"),
    "drop_f95": lambda found: _own(found, "drop", "drop_f95"),
    "clusters": lambda found: (found["panel"]["numbers"]["object"]["silhouette"], None),
    "purity": lambda found: (found["panel"]["numbers"]["object"]["purity"], None),
    "unique": lambda found: _of(found["tokens"].get("unique")),
    "dead": lambda found: _of(found["tokens"].get("dead")),
    "carriers": lambda found: _of(found["tokens"].get("carriers")),
}
"""By name. `rs_probe` to `information`, `unique` to `carriers`: on the probe set; `rs_own`, `accuracy`, `blind` and the
drop curve: the mean over the families that a model was trained on."""

SHARES = frozenset({"discarded", "accuracy", "blind", "unique", "dead"})
"""Those between 0 and 1."""


def measured(models: Sequence[Found], measure: str) -> Spread:
    """Return a number's mean over the models of one arm."""
    values = [MEASURES[measure](found) for found in models]
    return over_seeds([value for value, _ in values], [error for _, error in values], measure in SHARES)
