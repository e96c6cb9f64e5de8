"""Statistics: one noun, `Estimate`, and one implementation of each interval and test.

    estimate    Estimate, Student's t interval
    ratio       ratio of sums, proportion, mean, Wilson's interval
    paired      difference of two runs on the same samples: McNemar's test and Tango's interval
    unpaired    difference of two runs, each known by its value and interval alone
    jackknife   a smooth statistic of means, or replicates that are already there
    combined    mean over training seeds, mean of independent estimates
    multiple    Holm's adjustment of several p-values, and of those against a leader that the data picked

Samples that share a cluster (a scene) are one unit throughout; an empty cluster name is a unit of its own. Intervals
are 95 %, p-values two-sided.
"""

from vtbench.stats.combined import mean_of_independent, mean_over_seeds
from vtbench.stats.estimate import Z95, Estimate, cluster_numbers, sorted_cluster_numbers, t_interval
from vtbench.stats.jackknife import jackknife, jackknife_difference, jackknife_of_means, jackknife_stderr, t_test
from vtbench.stats.multiple import holm, holm_from_leader
from vtbench.stats.paired import RatioTerms, difference, mcnemar, ratio_difference, tango
from vtbench.stats.ratio import mean, proportion, ratio, wilson
from vtbench.stats.unpaired import independent_difference

__all__ = [
    "Z95",
    "Estimate",
    "RatioTerms",
    "cluster_numbers",
    "difference",
    "holm",
    "holm_from_leader",
    "independent_difference",
    "jackknife",
    "jackknife_difference",
    "jackknife_of_means",
    "jackknife_stderr",
    "mcnemar",
    "mean",
    "mean_of_independent",
    "mean_over_seeds",
    "proportion",
    "ratio",
    "ratio_difference",
    "sorted_cluster_numbers",
    "t_interval",
    "t_test",
    "tango",
    "wilson",
]
