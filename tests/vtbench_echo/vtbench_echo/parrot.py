"""The adapter `parrot`: samples in, their own questions out."""

from collections.abc import Mapping, Sequence
from typing import Any

from vtbench.errors import AdapterError
from vtbench.types import Capability, Output, Sample, VisualTokens


class Parrot:
    """Repeats the question."""

    capabilities: frozenset[Capability] = frozenset({"generate"})
    image_size: int | None = 64
    layers: tuple[str, ...] = ()

    def __init__(self, loud: bool) -> None:
        self._loud = loud

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Say it again."""
        return [Output(text=sample.prompt.upper() if self._loud else sample.prompt) for sample in samples]

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """A parrot has no beliefs."""
        raise AdapterError("model 'parrot' cannot rank")

    def visual_tokens(self, samples: Sequence[Sample], layers: Sequence[str]) -> list[VisualTokens]:
        """A parrot does not tell what it saw."""
        raise AdapterError("model 'parrot' gives no visual tokens")

    def describe(self) -> Mapping[str, Any]:
        """What identifies it."""
        return {"checkpoint": "parrot", "loud": self._loud, "device": "cpu"}

    def close(self) -> None:
        """Nothing to give back."""
