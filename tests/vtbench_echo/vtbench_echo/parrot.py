"""The adapter `parrot`: it repeats the question."""

from collections.abc import Mapping, Sequence
from typing import Any

from vtbench import BaseAdapter, Output, Sample


class Parrot(BaseAdapter):
    """Repeats the question, in capitals if `loud`."""

    image_size = 64

    def __init__(self, loud: bool) -> None:
        self._loud = loud

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Return each sample's question as its answer."""
        return [Output(text=sample.prompt.upper() if self._loud else sample.prompt) for sample in samples]

    def describe(self) -> Mapping[str, Any]:
        """Return what identifies the model."""
        return {"checkpoint": "parrot", "loud": self._loud, "device": "cpu"}
