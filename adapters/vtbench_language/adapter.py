"""The adapter of the language-only controls: a causal language model that is told about images, or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vtbench.types import Output, Sample
from vtbench_hf.adapter import HFAdapter, Inputs
from vtbench_hf.checkpoint.loader import LoadedModel

TOLD = 1
"""Version of what the model is told of a scene: raised when captions change, so that no earlier answer is reused."""
_KEPT = 4096
"""Answers that are kept: without its image, a question is often the same text as another."""


class LanguageAdapter(HFAdapter):
    """Serves a causal language model; each sample is put into words before it is asked.

    Args:
        loaded: the model and its processor.
        control: name of the control, for run.json.
        tell: returns a sample and its examples without images.
    """

    def __init__(self, loaded: LoadedModel, control: str, tell: Callable[[Sample], Sample]) -> None:
        super().__init__(loaded)
        self._control, self._tell = control, tell
        self._answered: dict[tuple[int, str], Output] = {}

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Answer; greedily unless `--gen` says otherwise. A prompt is answered once where nothing is drawn."""
        told = [self._tell(sample) for sample in samples]
        if not self.loaded.generation.greedy:
            return super().generate(told, max_new_tokens)
        keys = [(max_new_tokens, self.prompt_text(sample)) for sample in told]
        new = {key: sample for key, sample in zip(keys, told, strict=True) if key not in self._answered}
        if len(self._answered) + len(new) > _KEPT:
            self._answered.clear()
            new = dict(zip(keys, told, strict=True))
        if new:
            self._answered.update(zip(new, super().generate(list(new.values()), max_new_tokens), strict=True))
        return [self._answered[key] for key in keys]

    def rank(self, samples: Sequence[Sample]) -> list[Output]:
        """Score each sample's choices."""
        return super().rank([self._tell(sample) for sample in samples])

    def describe(self) -> Mapping[str, Any]:
        """Return which model this is, and what it is told."""
        return {**super().describe(), "control": self._control, "told": TOLD}

    def close(self) -> None:
        """Release the model and its memory."""
        self._answered.clear()
        super().close()

    # What a family overrides.

    def has_visual_tokens(self) -> bool:
        """Return False: there is no image."""
        return False

    def visual_token_counts(self, inputs: Inputs) -> Sequence[int | None]:
        """Return 0 for each sample."""
        return [0] * len(inputs["input_ids"])

    def takes_several_images(self) -> bool:
        """Return True: what is told of several images is one text."""
        return True

    def preferred_image_size(self) -> int | None:
        """Return None: nobody sees the images."""
        return None
