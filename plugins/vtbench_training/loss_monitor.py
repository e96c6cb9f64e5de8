"""Running means of the loss for the log, and detection of divergence.

A resumed run restores the `state`, so that it logs and stops as an uninterrupted one would.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from vtbench.runs.disk import write_file

WINDOW = 20
"""Steps over which the loss is averaged for the divergence test."""
TIMES, PLUS = 3.0, 0.5
"""A mean loss (in nats) above `TIMES` the lowest mean so far + `PLUS` has diverged; a single noisy step has not."""


class LossMonitor:
    """Sums since the last log line, and running means of the loss.

    Args:
        state: of the run that is resumed; empty for a new one.
    """

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._sums: dict[str, float] = dict(state.get("sums", {}))
        self._counted: int = state.get("counted", 0)
        self._recent: deque[float] = deque(state.get("recent", ()), maxlen=WINDOW)
        self._lowest: float = state.get("lowest", math.inf)

    def state(self) -> dict[str, Any]:
        """Return the state that a resumed run restores, JSON-able."""
        return {
            "sums": dict(self._sums),
            "counted": self._counted,
            "recent": list(self._recent),
            "lowest": self._lowest,
        }

    def divergence(self, loss: float) -> str | None:
        """Return why the loss of the next step counts as diverged; None where it does not.

        >>> monitor = LossMonitor({"recent": [0.1] * 19, "lowest": 0.1})
        >>> monitor.divergence(2.0), monitor.divergence(float("nan")), monitor.divergence(20.0)
        (None, 'it is nan', 'its mean jumped from 0.100 to 1.095')
        """
        if not math.isfinite(loss):
            return f"it is {loss}"
        mean = _mean([*self._recent, loss][-WINDOW:])
        if mean > TIMES * self._lowest + PLUS:
            return f"its mean jumped from {self._lowest:.3f} to {mean:.3f}"
        return None

    def add(self, loss: float, logged: Mapping[str, float]) -> None:
        """Add a step's loss and other logged numbers."""
        self._recent.append(loss)
        self._lowest = min(self._lowest, _mean(self._recent))
        for key, value in {"loss": loss, **logged}.items():
            self._sums[key] = self._sums.get(key, 0.0) + value
        self._counted += 1

    def means(self) -> dict[str, float]:
        """Return the means since the last call, and reset them."""
        found = {key: round(value / self._counted, 4) for key, value in self._sums.items()}
        self._sums, self._counted = {}, 0
        return found


def _mean(values: Collection[float]) -> float:
    return sum(values) / len(values)


def truncate_log(path: Path, step: int) -> None:
    """Drop the lines that a killed run logged after its last checkpoint, which is that of `step`."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
    if kept != lines:
        write_file(path, "".join(line + "\n" for line in kept))
