"""What the flags of scores mean that vtbench's statistics and answer metrics set, a sentence each, with what to do."""

from __future__ import annotations

FLAGS = {
    "unobserved": "the metric could not read some answered samples; the details say how many and why",
    "one_sample": "there is one sample, so there is no interval; use more",
    "one_scene": "all samples share one scene, so there is no interval; use more scenes",
    "empty": "there is nothing to divide by, such as attributes where no object was matched",
    "no_spread": "the difference is not 0 but has no variance, so it cannot be tested",
    "identical": "the difference is 0 and has no variance, so there is nothing to test",
    "no_interval": "one of the two scores has no interval, so their difference cannot be tested",
    "no_slope": "the curve does not beat a constant answer at the 1 % level, so there is no threshold",
    "below_range": "answers are right already at the smallest offset; ask about smaller ones",
    "above_range": "under 75 % of the answers are right at the largest offset; ask about larger ones",
}
