"""The benchmark tasks of bmi with a Gaussian copula, their underlying normal tasks, and why the others have none.

A task counts by construction: normal variables whose coordinates are mapped one by one by strictly increasing functions
(bmi/benchmark/task_list.py). That the maps are such is tested on samples.
"""

from __future__ import annotations

_NORMAL = (
    "1v1-normal-0.75",
    "multinormal-dense-2-2-0.5",
    "multinormal-dense-3-3-0.5",
    "multinormal-dense-5-5-0.5",
    "multinormal-dense-25-25-0.5",
    "multinormal-dense-50-50-0.5",
    "multinormal-sparse-2-2-2-2.0",
    "multinormal-sparse-3-3-2-2.0",
    "multinormal-sparse-5-5-2-2.0",
    "multinormal-sparse-25-25-2-2.0",
)

BASES = {name: name for name in _NORMAL} | {
    "normal_cdf-1v1-normal-0.75": "1v1-normal-0.75",  # Φ(x), Φ(y): uniform
    "1v1-bimodal-0.75": "1v1-normal-0.75",  # quantile functions of two-component mixtures, of the above
    "wiggly-1v1-normal-0.75": "1v1-normal-0.75",  # x plus small sines; the slope stays above 0.16
    "half_cube-1v1-normal-0.75": "1v1-normal-0.75",  # x sqrt|x|
    "normal_cdf-multinormal-sparse-3-3-2-2.0": "multinormal-sparse-3-3-2-2.0",
    "normal_cdf-multinormal-sparse-5-5-2-2.0": "multinormal-sparse-5-5-2-2.0",
    "normal_cdf-multinormal-sparse-25-25-2-2.0": "multinormal-sparse-25-25-2-2.0",
    "half_cube-multinormal-sparse-3-3-2-2.0": "multinormal-sparse-3-3-2-2.0",
    "half_cube-multinormal-sparse-5-5-2-2.0": "multinormal-sparse-5-5-2-2.0",
    "half_cube-multinormal-sparse-25-25-2-2.0": "multinormal-sparse-25-25-2-2.0",
}
"""Task -> the normal task whose sample from the same seed it maps coordinate by coordinate."""

OTHERS = {
    "1v1-additive": "a uniform variable plus uniform noise",
    "student-identity": "multivariate Student t without correlation: dependent through a common scale only",
    "asinh-student-identity": "the same with shorter tails; the copula stays",
    "swissroll_x": "one coordinate is rolled up into two, neither of which tells it alone",
    "spiral": "two coordinates are turned by an angle that depends on the length of the vector",
}
"""Why tasks that begin like this have another copula."""
