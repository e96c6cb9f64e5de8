"""Scores answers: normalisation, exact match, ranking, scene graphs, psychometric curves.

Metrics compare each answer with the target, keep a small observation of it, and reduce the observations of a task to
scores with intervals. `SCORING_VERSION` changes with any change that can move a score.
"""

SCORING_VERSION = 5
"""4: scene graphs as JSON and in Markdown; open answers that are stated in a sentence, JSON or a box; refusals, denials
and what a text takes back give no answer; synonyms of a task. The benchmark's own scores are those of version 3.
3: symbols, signs and marks of all scripts count; letters in answer form only; reasoning is left out; several right
answers; the answer type decides what a metric applies to. The benchmark's own scores are those of version 2.
2: one method for all paired differences, Student's t for all means and jackknives (docs/scoring.md)."""
