"""What the families share: named layers, a size to draw pictures at, and a look at whether a checkpoint fits itself.

In: a loaded checkpoint, and the size asked for. Out: an `HFAdapter` whose subclass, a family, says only what differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vtbench.errors import AdapterError
from vtbench_hf.adapter import HFAdapter
from vtbench_hf.loading import Loaded
from vtbench_hf.visual import QUARTERS


class Family(HFAdapter):
    """One family of models. Stands before `MergedAdapter` where that serves it, else alone."""

    def __init__(self, loaded: Loaded, image_size: int | None = None) -> None:
        super().__init__(loaded)
        for what, of_processor, of_model in self._agreements():
            if of_processor != of_model:
                raise AdapterError(
                    f"{loaded.checkpoint}: its processor has {what} {of_processor}, its config.json {of_model}:"
                    " they do not belong together"
                )
        if image_size is not None:
            self._check_side(image_size)
            self.image_size = image_size

    def _agreements(self) -> Iterator[tuple[str, Any, Any]]:
        """Give what processor and config.json both say about a picture's size: a name, the one's value, the other's."""
        yield from ()

    def _check_side(self, side: int) -> None:
        """Refuse to draw pictures at a size that the family cannot take as it is.

        Raises:
            AdapterError: it is not a number, or such pictures would be resized.
        """
        if isinstance(side, bool) or not isinstance(side, int) or side < 1:
            raise AdapterError(f"image_size={side} is not a side in pixels")
        if not self._takes(side):
            raise AdapterError(
                f"{self._loaded.checkpoint} cannot take pictures of image_size={side}: {self._sizes_taken()}"
            )

    def _takes(self, side: int) -> bool:
        """Whether square pictures of that side reach the model as they are."""
        return side == self.image_size

    def _sizes_taken(self) -> str:
        """Say which sides `_takes` takes."""
        return f"its vision tower sees {self.image_size} pixels and no other size"

    def _gives_visual_tokens(self) -> bool:
        return True

    def _layer_names(self) -> tuple[str, ...]:
        return ("connector", "encoder", *QUARTERS)
