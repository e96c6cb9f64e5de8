"""What a task of lm-eval or lmms-eval calls so that RS stands beside its accuracy in the harness's own table.

In: a document and its metrics, later the keys of all documents. Out: the metric `rs` and its interval. Where no
vtbench model was asked, nothing is added, so a task with these hooks serves every model. Nothing heavy is imported.

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

from vtbench_harness.lm_eval import offer
from vtbench_harness.questions import document_key

if TYPE_CHECKING:
    from vtbench.types import Score
    from vtbench_harness.watching import Watch

watched: Mapping[str, Watch] = {}
"""By task, of the vtbench model that this process serves."""

if "lm_eval" in sys.modules:
    offer()  # a task given by its file is read before the model is looked for


def with_redundancy(metrics: Mapping[str, Any], doc: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document's metrics, with `rs`, `rs_low` and `rs_high` where its pictures' tokens were watched."""
    if all(watch.problem for watch in watched.values()):
        return dict(metrics)
    return {**metrics, **dict.fromkeys(("rs", "rs_low", "rs_high"), document_key(doc))}


def rs(keys: Sequence[str]) -> float:
    """Aggregate: RS of the documents that `with_redundancy` named; NaN where it cannot be said."""
    score = _score(keys)
    return math.nan if score is None or score.value is None else score.value


def rs_low(keys: Sequence[str]) -> float:
    """Aggregate: where RS's 95 % interval begins."""
    return _end(keys, 0)


def rs_high(keys: Sequence[str]) -> float:
    """Aggregate: where RS's 95 % interval ends."""
    return _end(keys, 1)


def _end(keys: Sequence[str], which: int) -> float:
    score = _score(keys)
    return math.nan if score is None or score.interval is None else score.interval[which]


def _score(keys: Sequence[str]) -> Score | None:
    """Score a task's pictures, from the watch that saw most of its documents."""
    wanted = frozenset(keys)
    best = max(watched.values(), key=lambda watch: len(wanted & watch.documents()), default=None)
    return best.scores(wanted & best.documents()).get("rs") if best else None
