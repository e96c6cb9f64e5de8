"""Made-up pixels and tokens for the tests of the redundancy suite."""

from __future__ import annotations

import numpy as np


def white(n: int, places: int = 4, size: int = 6, seed: int = 0) -> np.ndarray:
    """Independent Gaussian numbers (n, places, size) float32."""
    return np.random.default_rng(seed).standard_normal((n, places, size)).astype(np.float32)


def copies(x: np.ndarray, count: int) -> np.ndarray:
    """Every place `count` times over."""
    return np.tile(x, (1, count, 1))
