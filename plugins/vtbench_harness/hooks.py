"""Functions for tasks of lm-eval and lmms-eval that add RS to the harness's own table.

`with_redundancy` adds the document's key to its metrics; the aggregations compute RS and its interval from the keys of
all documents. With other models than vtbench's nothing is added, so a task with these hooks serves every model.

    def process_results(doc, results):
        return with_redundancy({"acc": ...}, doc)

    metric_list:
      - {metric: acc, aggregation: mean, higher_is_better: true}
      - {metric: rs, aggregation: !function vtbench_harness.hooks.rs, higher_is_better: false}
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vtbench_harness.harness_task import document_key
from vtbench_harness.lm_eval import register_model

if TYPE_CHECKING:
    from vtbench.types import Score
    from vtbench_harness.redundancy_monitor import RedundancyMonitor

monitors: Mapping[str, RedundancyMonitor] = {}
"""Monitors of the vtbench model that this process serves, by task."""

if "lm_eval" in sys.modules:
    register_model()  # lm-eval reads a task that is given by its file before it looks for the model


def with_redundancy(metrics: Mapping[str, Any], doc: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document's metrics, with `rs`, `rs_low` and `rs_high` if its visual tokens were observed."""
    if all(monitor.problem for monitor in monitors.values()):
        return dict(metrics)
    return {**metrics, **dict.fromkeys(("rs", "rs_low", "rs_high"), document_key(doc))}


def rs(keys: Sequence[str]) -> float:
    """Aggregation: RS of the documents with these keys; NaN if it was not measured."""
    score = _score(keys)
    return math.nan if score is None or score.value is None else score.value


def rs_low(keys: Sequence[str]) -> float:
    """Aggregation: lower end of the 95 % interval of RS."""
    return _bound(keys, 0)


def rs_high(keys: Sequence[str]) -> float:
    """Aggregation: upper end of the 95 % interval of RS."""
    return _bound(keys, 1)


def _bound(keys: Sequence[str], which: int) -> float:
    score = _score(keys)
    return math.nan if score is None or score.interval is None else score.interval[which]


def _score(keys: Sequence[str]) -> Score | None:
    """Return RS from the monitor that observed most of the documents."""
    wanted = frozenset(keys)
    best = max(monitors.values(), key=lambda monitor: len(wanted & monitor.documents()), default=None)
    return best.scores(wanted & best.documents()).get("rs") if best else None
