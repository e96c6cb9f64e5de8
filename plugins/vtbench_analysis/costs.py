"""What an answer costs: the runs' records of the shared samples in, a `Line` a cost out. Shown, not tested.

Samples of one batch share its wall time, and another machine has other times: no test would mean much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from vtbench.types import Record
from vtbench_analysis.lines import Line, Value
from vtbench_analysis.paired import Difference
from vtbench_analysis.sharing import Shared

COSTS: Mapping[str, Callable[[Record], float | None]] = {
    "visual_tokens": lambda record: record.visual_tokens_in,
    "ms_per_sample": lambda record: 1000 * record.seconds,
}
"""Mean over samples, by name; `ms_per_sample` is wall time, with all that the run measured."""
NO_TEST = Difference(None, flags=("no_test",))


def lines(shared: Shared) -> list[Line]:
    """Return what the runs cost, as far as any of them says."""
    found = []
    for name, cost in COSTS.items():
        values = tuple(_mean([cost(record) for record in records]) for records in shared.records)
        if any(value.value is not None for value in values):
            found.append(Line("cost", name, values, (NO_TEST,) * (len(values) - 1), len(shared), percent=False))
    return found


def _mean(costs: Sequence[float | None]) -> Value:
    known = [cost for cost in costs if cost is not None]
    return Value(sum(known) / len(known)) if len(known) == len(costs) else Value(None, flags=("unknown",))
