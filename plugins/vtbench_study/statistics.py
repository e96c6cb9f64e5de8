"""How sure a mean over seeds is: a value and an error a seed in, mean with interval out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import t

IMAGE_DF = 9
"""Degrees of freedom of an error over pictures: the jackknife has ten groups."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean over seeds.

    Attributes:
        mean: over the seeds that have a value; None where none has.
        low, high: 95 % interval over seeds and pictures; None where neither error is known.
        seed_sd: standard deviation from seed to seed; None for one seed.
        image_se: standard error that the choice of pictures leaves in the mean.
        values: by seed.
    """

    mean: float | None
    low: float | None
    high: float | None
    seed_sd: float | None
    image_se: float | None
    values: tuple[float | None, ...]

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self) | {"values": list(self.values)}


def over_seeds(values: Sequence[float | None], errors: Sequence[float | None], share: bool = False) -> Spread:
    """Return the mean over seeds, and an interval for what other seeds and other pictures would give.

    All seeds see the same pictures, so their choice does not average out: SE² = SD² / k + mean(SE_image²), on degrees
    of freedom by Satterthwaite (Biometrics Bulletin 2:110, 1946), k - 1 of them for the seeds and 9 for the pictures.

    Args:
        values: one a seed; None where it is unknown.
        errors: the standard error of each over pictures; None where it is unknown.
        share: whether values are shares: their interval ends at 0 and 1.

    >>> spread = over_seeds([0.5, 0.6, 0.7], [0.01, 0.01, 0.01])
    >>> round(spread.mean, 3), round(spread.low, 3), round(spread.high, 3), round(spread.seed_sd, 3)
    (0.6, 0.361, 0.839, 0.1)
    """
    known = [value for value in values if value is not None]
    if not known:
        return Spread(None, None, None, None, None, tuple(values))
    mean, k = float(np.mean(known)), len(known)
    sd = float(np.std(known, ddof=1)) if k > 1 else None
    variances = [error**2 for error in errors if error is not None]
    image = float(np.mean(variances)) if variances else None
    parts = [(sd**2 / k, k - 1)] if sd is not None else []
    parts += [(image, IMAGE_DF)] if image is not None else []
    total = sum(variance for variance, _ in parts)
    if not parts:
        return Spread(mean, None, None, None, None, tuple(values))
    freedom = total**2 / sum(v**2 / df for v, df in parts) if total > 0 else 1.0
    half = float(t.ppf(0.975, freedom)) * math.sqrt(total)
    low, high = (max(0.0, mean - half), min(1.0, mean + half)) if share else (mean - half, mean + half)
    return Spread(mean, low, high, sd, None if image is None else math.sqrt(image), tuple(values))
