"""Statistics: one noun, `Estimate`, and one implementation of each interval and test."""

from vtbench.stats.estimate import Estimate, any_mean, difference, mean, ratio, wilson

__all__ = ["Estimate", "any_mean", "difference", "mean", "ratio", "wilson"]
