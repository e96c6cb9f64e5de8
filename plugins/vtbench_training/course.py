"""The course of a training: each step's loss in, log lines out, and a word when the loss runs away.

A resumed run takes up the `state`, and so logs and judges as if it had never been stopped.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from vtbench.runs.writer import write_file

WINDOW = 20
"""Steps over which a loss is averaged before it is judged."""
TIMES, PLUS = 3.0, 0.5
"""A mean loss above `TIMES` the lowest one so far `PLUS` this (in nats) has run away: one step's noise does not."""


class Course:
    """Sums since the last log line, and the means of the loss."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._sums: dict[str, float] = dict(state.get("sums", {}))
        self._counted: int = state.get("counted", 0)
        self._recent: deque[float] = deque(state.get("recent", ()), maxlen=WINDOW)
        self._lowest: float = state.get("lowest", math.inf)

    def state(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {
            "sums": dict(self._sums),
            "counted": self._counted,
            "recent": list(self._recent),
            "lowest": self._lowest,
        }

    def trouble(self, loss: float) -> str | None:
        """Say what is wrong with the loss of the next step; None where nothing is.

        >>> course = Course({"recent": [0.1] * 19, "lowest": 0.1})
        >>> course.trouble(2.0), course.trouble(float("nan")), course.trouble(20.0)
        (None, 'it is nan', 'its mean jumped from 0.100 to 1.095')
        """
        if not math.isfinite(loss):
            return f"it is {loss}"
        mean = _mean([*self._recent, loss][-WINDOW:])
        if mean > TIMES * self._lowest + PLUS:
            return f"its mean jumped from {self._lowest:.3f} to {mean:.3f}"
        return None

    def add(self, loss: float, shown: Mapping[str, float]) -> None:
        """Take in a step."""
        self._recent.append(loss)
        self._lowest = min(self._lowest, _mean(self._recent))
        for key, value in {"loss": loss, **shown}.items():
            self._sums[key] = self._sums.get(key, 0.0) + value
        self._counted += 1

    def means(self) -> dict[str, float]:
        """Return the means since this was last asked, and start again."""
        found = {key: round(value / self._counted, 4) for key, value in self._sums.items()}
        self._sums, self._counted = {}, 0
        return found


def _mean(values: Collection[float]) -> float:
    return sum(values) / len(values)


def cut_log(path: Path, step: int) -> None:
    """Drop the lines of a log that a killed run wrote after its last checkpoint, which is that of `step`."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
    if kept != lines:
        write_file(path, "".join(line + "\n" for line in kept))
