"""How answers become numbers: normaliser, exact match, ranking, scene graphs, statistics.

In: what a model said and what was right. Out: small observations and, from all of a task's, scores with their
intervals. `SCORING_VERSION` changes with any change that can move a score, and is part of every run's versions.
"""

SCORING_VERSION = 2
"""2: one method for all paired differences, Student's t for all means and jackknives (docs/scoring.md)."""
