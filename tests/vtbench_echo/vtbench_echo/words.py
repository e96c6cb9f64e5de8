"""The metric `words`: how long answers are."""

from vtbench import BaseMetric, Observation, Output, Sample


class Words(BaseMetric):
    """Mean number of words in an answer."""

    def observe_sample(self, sample: Sample, output: Output) -> Observation:
        """Count the words of an answer."""
        return {"words": len((output.text or "").split())}
