"""The metric `words`: how long answers are."""

from collections.abc import Sequence

from vtbench.metric import Batch
from vtbench.types import Capability, Observation, Record, Score


class Words:
    """Mean number of words in an answer."""

    needs: frozenset[Capability] = frozenset({"generate"})

    def observe(self, batch: Batch) -> list[Observation]:
        """Count the words of each answer."""
        return [{"words": len((output.text or "").split())} for output in batch.outputs]

    def compute(self, records: Sequence[Record], observations: Sequence[Observation]) -> dict[str, Score]:
        """Return their mean."""
        counts = [observation["words"] for observation in observations]
        return {"words": Score(sum(counts) / len(counts), n=len(counts), percent=False)}
